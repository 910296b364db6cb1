"""A process that is killed outright leaves a case that opens, and work that can be finished."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ingest_cases import assert_balanced
from test_ingest_linking import LONG, access, content, lines

from irkit.case import Case, fixed_clock
from irkit.case.evidence import intake
from irkit.ingest import ingest

NOW = "2026-10-16T09:00:00+00:00"
TABLES = (
    *("query_record", "query_message", "query_choice", "text", "quarantine", "record_link"),
    "evidence_source",
)

CHILD = """
import os, signal, sys
from pathlib import Path
from irkit.case import Case, fixed_clock
from irkit.ingest import framing, linking, load, pipeline

place, path, now = sys.argv[1:]
pipeline.BLOCK = framing.BLOCK = 20_000

def die(*_args, **_options):
    os.kill(os.getpid(), signal.SIGKILL)

if place == "between files":
    write, calls = load.Loader.write, []
    def counted(self, *args):
        calls.append(1)
        die() if len(calls) == 3 else write(self, *args)
    load.Loader.write = counted
elif place == "while linking":
    linking.timelinks.tie = die
with Case.open(Path(path), write=True, clock=fixed_clock(now)) as case:
    pipeline.ingest(case)
"""


def files(folder: Path) -> list[Path]:
    folder.mkdir()
    made = []
    for number in range(4):
        calls = range(number * 60, number * 60 + 60)
        path = folder / f"app-{number}.json"
        path.write_bytes(lines(*(content(n, 30 * n, LONG.format(n)) for n in calls)) + b"{bad\n")
        made.append(path)
    gateway = folder / "gw.json"
    gateway.write_bytes(lines(*(access(n, 30 * n, LONG.format(n)) for n in range(0, 240, 3))))
    return [*made, gateway]


def everything(case: Case) -> dict[str, list]:
    found = {name: case.rows(f"SELECT * FROM {name} ORDER BY ALL") for name in TABLES}
    found["linkage"] = [(ingest(case).linkage,)]
    return found


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    with Case.create(folder / "c.irkit", clock=fixed_clock(NOW)) as case:
        intake(case, files(folder / "logs"))
        ingest(case)
        found = everything(case)
    # Where the originals lay differs from run to run.
    return found | {"evidence_source": [row[3:5] + row[11:] for row in found["evidence_source"]]}


@pytest.mark.parametrize("place", ["between files", "while linking"])
def test_a_killed_run_is_finished_by_the_next(tmp_path, straight, place):
    path = tmp_path / "c.irkit"
    with Case.create(path, clock=fixed_clock(NOW)) as case:
        intake(case, files(tmp_path / "logs"))
    command = [sys.executable, "-c", CHILD, place, str(path), NOW]
    killed = subprocess.run(command, capture_output=True, timeout=300, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    with Case.open(path, write=True, clock=fixed_clock(NOW)) as case:
        done = case.rows("SELECT count(*) FROM stage_progress WHERE stage = 'ingest'")[0][0]
        assert 0 < done < 5 if place == "between files" else done == 5
        ingest(case)
        assert_balanced(case)
        found = everything(case)
    found["evidence_source"] = [row[3:5] + row[11:] for row in found["evidence_source"]]
    assert found == straight
