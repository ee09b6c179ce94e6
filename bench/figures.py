"""Rows of the table: what was asked, what was reached; printed for people and written for programs."""

import json
import os
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
MISSED = "MISSED"
TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `limit` None: shown, not judged. `seen`: what it comes from, in words; `samples`: the raw figures."""

    what: str
    reached: float
    limit: float | None = None
    unit: str = TIMES
    seen: str = ""
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """ok, MISSED, or nothing where nothing was asked."""
        if self.limit is None:
            return ""
        return "ok" if self.reached <= self.limit else MISSED

    def shown(self) -> tuple[str, str, str, str, str]:
        """The cells of the table."""
        asked = "" if self.limit is None else f"≤ {self.limit:g}{_space(self.unit)}{self.unit}"
        digits = 2 if self.limit is None or self.limit >= 0.1 or self.limit == 0 else 4
        return self.what, asked, f"{self.reached:.{digits}f}{_space(self.unit)}{self.unit}", self.verdict, self.seen


def _space(unit: str) -> str:
    return "" if unit == TIMES else " "


def ratio(
    what: str, limit: float | None, ours: Sequence[float], floor: Sequence[float], *, against: str = "floor"
) -> Row:
    """The medians of two interleaved series of seconds, one divided by the other."""
    mine, base = statistics.median(ours), statistics.median(floor)
    seen = f"{milliseconds(mine)}, {against} {milliseconds(base)}"
    return Row(what, mine / base, limit, seen=seen, samples={"ours": ours, against: floor})


def milliseconds(seconds: float) -> str:
    """For people."""
    value = seconds * 1000
    return f"{value:.3f} ms" if abs(value) < 1 else f"{value:.2f} ms" if abs(value) < 100 else f"{value:.0f} ms"


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def table(rows: Sequence[Row]) -> str:
    """All rows, aligned."""
    cells = [("what", "asked", "reached", "ok?", "medians"), *(row.shown() for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(lines)


def write(rows: Sequence[Row], notes: Sequence[str]) -> Path:
    """Everything as JSON, under the time of day."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / time.strftime("%Y%m%d-%H%M%S.json")
    document = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "rows": [{**asdict(row), "verdict": row.verdict} for row in rows],
        "notes": notes,
    }
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return path
