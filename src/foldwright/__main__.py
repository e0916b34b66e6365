"""`python -m foldwright` is the command `foldwright`."""

import sys

from foldwright.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
