"""A slice of the sample incident, small enough for a test: one key that drew records, its corpus.

Nothing in it is made up for the test: the lines are those of the sample logs.
"""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

SAMPLE = Path(__file__).parents[2] / "sample_logs"
#: A key of the sample that drew training records, by its lines in one gateway's log.
EXTRACTOR = "key-aec6f8107a"
#: An entry that no reader can read.
BROKEN = b'{"ts":"2026-10-0\n'


def write_slice(folder: Path) -> None:
    """Write ``calls.ndjson``, ``corpus.jsonl`` and ``register.csv``."""
    kept: list[bytes] = []
    for path in sorted((SAMPLE / "logs").glob("gateway-*.gz")):
        with gzip.open(path) as file:
            kept += [line for line in file if EXTRACTOR.encode() in line[:120]]
    (folder / "calls.ndjson").write_bytes(b"".join(kept) + BROKEN)
    with gzip.open(SAMPLE / "corpus.jsonl.gz") as file:
        documents = [next(file) for _ in range(330)]
    (folder / "corpus.jsonl").write_bytes(b"".join(documents))
    (folder / "register.csv").write_bytes((SAMPLE / "subjects.csv").read_bytes())


def personal_values() -> tuple[str, ...]:
    """Every value of the register that must stay hidden."""
    with (SAMPLE / "subjects.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    wanted = ("name", "email", "phone", "iban", "customer_no")
    return tuple(sorted({row[name] for row in rows for name in wanted if len(row[name]) > 6}))


def lines_of(path: Path) -> int:
    """Entries of the slice that can be read."""
    return sum(1 for line in path.read_bytes().splitlines() if _is_json(line))


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
