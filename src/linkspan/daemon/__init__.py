"""`linkspan daemon`: serves the engine to clients until it is told to stop. What it built stays."""

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon with dockerd's flags; returns the exit code."""
    from linkspan.daemon.process import run

    return run(argv)
