"""``python -m mis``."""

from mis.cli import main

if __name__ == "__main__":
    main()
