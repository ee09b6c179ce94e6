"""The picture in docs/architecture.md is the real one."""

import re
from collections.abc import Callable

from tests.imports import ROOT, mermaid, modules


def test_the_picture_shows_the_real_imports(page: Callable[[str, str], None]) -> None:
    name = "docs/architecture.md"
    picture = f"```mermaid\n{mermaid(modules())}```"
    text, count = re.subn(r"```mermaid\n.*?```", lambda _: picture, (ROOT / name).read_text(), flags=re.DOTALL)
    assert count == 1
    page(name, text)
