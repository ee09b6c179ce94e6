"""What the demo prints: steps, commands with their output, and checks."""

from collections.abc import Sequence

_BOLD, _DIM, _GREEN, _RED, _PLAIN = "\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m"


class Screen:
    """Prints, and remembers which checks failed."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours
        self._steps = 0
        self._after_command = False
        self.failures: list[str] = []

    def line(self, text: str, colour: str = "") -> None:
        """One line, at once."""
        print(f"{colour}{text}{_PLAIN}" if self._colours and colour else text, flush=True)

    def step(self, title: str, look: str) -> None:
        """Begin a step: its title, and one sentence that says what to look at."""
        self._steps += 1
        self.line(f"\n{self._steps}. {title}", _BOLD)
        self.line(f"   {look}")

    def command(self, where: str, argv: Sequence[str], output: str) -> None:
        """A command and what it printed."""
        self.line(f"\n   {where}# {' '.join(argv)}", _DIM)
        for line in output.strip().splitlines():
            self.line(f"   {line.expandtabs(8)}")
        self._after_command = True

    def check(self, claim: str, holds: bool) -> None:
        """A claim, and whether it holds."""
        if self._after_command:
            self.line("")
            self._after_command = False
        self.line(f"   {'✓' if holds else '✗'} {claim}", _GREEN if holds else _RED)
        if not holds:
            self.failures.append(claim)
