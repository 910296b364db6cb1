"""The README's pictures: there, small, and the ones that the recording script writes."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_pictures_of_the_readme_are_those_that_are_recorded() -> None:
    named = set(
        re.findall(r"\]\((tests/tui/pictures/\w+\.png)\)", (ROOT / "README.md").read_text())
    )
    script = (ROOT / "tests/tui/record_journey.py").read_text("utf-8")
    kept = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests/tui/pictures").iterdir()}
    assert named == kept and len(named) == 11
    sizes = [(ROOT / name).stat().st_size for name in named]
    assert max(sizes) < 150_000 and sum(sizes) < 1_000_000
    for name in named:
        assert f'("{Path(name).stem}", ' in script, name
