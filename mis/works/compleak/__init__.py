"""CompLeak, done again: what a compressed network leaks alone, beside the original, and beside others."""
