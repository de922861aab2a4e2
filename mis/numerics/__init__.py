"""Floor 0: argument checks, log-space arithmetic, intervals. Knows nothing of privacy."""
