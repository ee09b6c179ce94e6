"""What a request would do, for people and for tests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from linkspan.plan.operations import Operation
from linkspan.plan.render import render


@dataclass(frozen=True, slots=True)
class Preview(Sequence[Operation]):
    """The operations of a request. `str` gives the lines a person would type for them."""

    operations: tuple[Operation, ...]

    def lines(self) -> list[str]:
        """`ip`, `bridge`, `nft`, `iptables` and `sysctl` lines, in order."""
        return render(self.operations)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __len__(self) -> int:
        return len(self.operations)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations)

    @overload
    def __getitem__(self, index: int) -> Operation: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Operation, ...]: ...

    def __getitem__(self, index: int | slice) -> Operation | tuple[Operation, ...]:
        return self.operations[index]
