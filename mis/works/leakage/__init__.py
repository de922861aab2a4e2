"""A published work done again: gradient quantization against deep leakage from gradients."""
