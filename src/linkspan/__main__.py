"""The program `linkspan`: the daemon, or the command that talks to it. Each imports only what it needs."""

import sys
from collections.abc import Sequence


def main() -> int:
    """`linkspan …` and `python -m linkspan …`."""
    from linkspan.cli.program import main as command

    return command(sys.argv[1:], _daemon)


def _daemon(argv: Sequence[str]) -> int:
    from linkspan.daemon import main as serve

    return serve(argv)


if __name__ == "__main__":
    sys.exit(main())
