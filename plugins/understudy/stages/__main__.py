"""The entry point of every stage image: ``python -m understudy.stages``."""

import sys

from understudy.stages.entry import main

if __name__ == "__main__":
    sys.exit(main())
