"""Argument checks, log-space arithmetic, intervals. Knows nothing of privacy."""
