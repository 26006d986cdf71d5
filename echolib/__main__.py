"""`python -m echolib`: the command line, see `commands`."""

import sys

from .commands.parser import main

if __name__ == "__main__":
    sys.exit(main())
