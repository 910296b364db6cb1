"""What bounds memory while an archive is read, whatever its size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from irkit.case import Case, Settings
from irkit.case.evidence import intake
from irkit.ingest import ingest
from irkit.ingest.entries import rows_of
from irkit.ingest.texts import KnownTexts


def mib(text: str) -> float:
    number, unit = text.split()
    return float(number) * {"KiB": 1 / 1024, "MiB": 1, "GiB": 1024}[unit]


@pytest.mark.parametrize("limit", [256, 1024])
def test_the_memory_setting_reaches_the_database(tmp_path: Path, limit: int):
    path = tmp_path / "m.irkit"
    with Case.create(path, settings=Settings(memory_limit_mb=limit, threads=1)) as case:
        told = case.rows("SELECT current_setting('memory_limit')")[0][0]
        assert mib(told) == pytest.approx(limit * 1e6 / 2**20, rel=0.01)
        spill = case.rows("SELECT current_setting('temp_directory')")[0][0]
        assert Path(spill) == path / ".spill"
    with Case.open(path) as case:
        assert case.rows("SELECT current_setting('memory_limit')")[0][0] == told


def test_known_texts_are_found_after_runs_were_merged(tmp_path: Path):
    with Case.create(tmp_path / "m.irkit", settings=Settings(threads=1)) as case:
        known = KnownTexts(case)
        rng = np.random.default_rng(5)
        ids = rng.integers(0, 256, (3000, 16), dtype=np.uint8)
        for start in range(0, 3000, 250):
            fresh = known.new(np.concatenate([ids[: start + 250], ids[: start + 250]]))
            assert fresh.tolist() == list(range(start, start + 250))
        assert len(known.new(ids)) == 0
        assert len(known._runs) <= 12
        twin = ids[7].copy()
        twin[15] ^= 1
        # The same first half: told apart by asking the database.
        assert known.new(rows_of([twin.tobytes()], 16)).tolist() == [0]


def test_forgetting_ids_stores_no_text_twice(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(KnownTexts.__init__, "__kwdefaults__", {"limit": 2})
    logs = tmp_path / "logs"
    logs.mkdir()
    for number in range(6):
        row = {
            "ts": f"2026-10-05T10:00:0{number}Z",
            "request": {"model": "m", "messages": [{"role": "user", "content": f"q{number // 2}"}]},
            "response": {"id": f"r{number}", "choices": [{"message": {"content": "same"}}]},
        }
        # Padded, so that every file is a block of its own.
        (logs / f"{number}.json").write_text(json.dumps(row) + " " * (9 << 20) + "\n")
    with Case.create(tmp_path / "m.irkit", settings=Settings(threads=1)) as case:
        intake(case, [logs], in_place=True)
        assert ingest(case).records == 6
        bodies = case.rows("SELECT body FROM text ORDER BY body")
    assert [row[0] for row in bodies] == ["q0", "q1", "q2", "same"]
