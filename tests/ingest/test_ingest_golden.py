"""Golden files: records shaped like the published schemas, and the canonical rows they become.

Set IRKIT_REGOLD=1 to write the golden files anew, then read the difference before committing it.
"""

from __future__ import annotations

import json
import os

import pytest
from ingest_cases import DATA, canonical, quarantine, read

GOLDEN = sorted(
    path.name for path in DATA.iterdir() if path.suffix != ".toml" and ".golden" not in path.name
)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(case, name):
    mapping = (DATA / name).with_suffix(".toml")
    read(case, DATA / name, mapping=mapping if mapping.exists() else None)
    rows = [
        *canonical(case),
        *({"quarantine": list(row[:5])} for row in quarantine(case)),
    ]
    text = "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows)
    golden = DATA / f"{name}.golden.jsonl"
    if os.environ.get("IRKIT_REGOLD"):
        golden.write_text(text, "utf-8")
    assert text == golden.read_text("utf-8")
