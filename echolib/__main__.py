"""`python -m echolib`: the command line, see `commands`."""

import os
import signal
import sys
from typing import Never


def main(arguments: list[str] | None = None) -> int:
    """Import the command line and run one command; returns the exit code, see `parser.main`."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # else a shell has told its job to ignore Ctrl-C
        signal.signal(signal.SIGINT, _stop)
    from .commands.parser import main as run_command

    signal.signal(signal.SIGINT, before)
    return run_command(arguments)


def _stop(number: int, frame: object) -> Never:
    """End at once: numpy's import would turn a KeyboardInterrupt into an error of its own."""
    print("echolib: stopped before it began.", file=sys.stderr)
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
