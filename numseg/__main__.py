"""``python -m numseg``."""

import sys

from numseg.cli import main

if __name__ == "__main__":
    sys.exit(main())
