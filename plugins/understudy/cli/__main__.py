"""``python -m understudy.cli``: the command line, also where the script is not on the path."""

from understudy.cli import main

if __name__ == "__main__":
    main()
