"""Quarantined entries read again: as if they had been read so from the start."""

from __future__ import annotations

import gzip
import json

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_cases import assert_balanced, read_bytes

from irkit import flow
from irkit.case import Case
from irkit.cli import cli
from irkit.errors import UsageError
from irkit.ingest import reread_quarantine

MAPPING = """
[format]
id = "own"
[match]
require = ["$.question"]
[columns]
event_time = "$.when"
credential_id = "$.key"
request_id = "$.id"
prompt = "$.question"
completion = "$.answer"
"""

TABLES = ("query_record", "query_message", "query_choice", "query_logprob", "text", "quarantine")
ACCOUNT = "entries, records, blanks, quarantined, format, capability, min_event_time"


def known(number: int) -> str:
    return json.dumps(
        {
            "ts": "2026-10-05T10:00:00Z",
            "request_id": f"q-{number}",
            "request": {"model": "m", "messages": [{"role": "user", "content": f"q {number}"}]},
            "response": {"choices": [{"index": 0, "message": {"content": "a"}}]},
        }
    )


def own(number: int) -> str:
    return json.dumps(
        {"when": "2026-10-06T10:00:00Z", "key": f"k-{number}", "id": f"own-{number}",
         "question": f"own question {number}", "answer": "own answer"}
    )  # fmt: skip


LINES = {
    "known": known,
    "own": own,
    "both": lambda n: f'{{"records": [{known(n)}, {own(n + 500)}]}}',
    "broken": lambda n: f'{{"question": "cut {n}',
    "other": lambda n: json.dumps({"nothing": n}),
    "blank": lambda n: "  ",
    "bad text": lambda n: f'{{"question": "{n} \udcff"}}',
}


def log(kinds: list[str]) -> bytes:
    text = "".join(LINES[kind](n) + "\n" for n, kind in enumerate(kinds))
    return text.encode("utf-8", "surrogateescape")


def everything(case: Case) -> dict[str, list]:
    found = {name: case.rows(f"SELECT * FROM {name} ORDER BY ALL") for name in TABLES}
    found["account"] = case.rows(f"SELECT {ACCOUNT} FROM evidence_source ORDER BY source_id")
    return found


def compare(folder, clock, data: bytes) -> None:
    mapping = folder / "own.toml"
    mapping.write_text(MAPPING)
    with Case.create(folder / "fresh.irkit", clock=clock) as case:
        read_bytes(case, folder, "log.bin", data, mapping=mapping)
        fresh = everything(case)
    with Case.create(folder / "late.irkit", clock=clock) as case:
        read_bytes(case, folder, "log.bin", data)
        report = reread_quarantine(case, mapping=mapping)
        assert_balanced(case)
        late = everything(case)
        assert report.left == sum(row[3] for row in late["account"])
        assert reread_quarantine(case, mapping=mapping).records == 0
        assert everything(case) == late
    assert late == fresh


@pytest.mark.parametrize("wrap", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_reading_again_gives_what_reading_anew_gives(tmp_path, clock, wrap):
    kinds = ["known", "own", "broken", "both", "blank", "own", "other", "bad text", "known", "own"]
    compare(tmp_path, clock, wrap(log(kinds)))


@given(st.lists(st.sampled_from(sorted(LINES)), max_size=14), st.booleans())
@settings(
    max_examples=8, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_any_mixture_reads_again_as_anew(tmp_path_factory, clock, kinds, packed):
    data = log(kinds)
    compare(tmp_path_factory.mktemp("mix"), clock, gzip.compress(data) if packed else data)


def test_command_reads_again_and_leaves_a_custody_entry(tmp_path):
    path, mapping = tmp_path / "c.irkit", tmp_path / "own.toml"
    mapping.write_text(MAPPING)
    (tmp_path / "log.json").write_bytes(log(["known", "own", "broken"]))
    run = CliRunner().invoke
    assert run(cli, ["new", str(path)]).exit_code == 0
    assert run(cli, ["preserve", str(path), str(tmp_path / "log.json")]).exit_code == 0
    refused = run(cli, ["quarantine", str(path), "--mapping", str(mapping)])
    assert isinstance(refused.exception, UsageError)
    done = run(cli, ["quarantine", str(path), "--reread", "--mapping", str(mapping), "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["read"] == 1
    left = json.loads(run(cli, ["quarantine", str(path), "--json"]).stdout)
    assert [row["entry_no"] for row in left["entries"]] == [3]
    with Case.open(path) as case:
        last = list(case.custody.entries())[-1]
        assert (last.action, last.detail["read"], last.detail["left"]) == (
            "reread_quarantine",
            1,
            1,
        )
        assert case.rows("SELECT count(*) FROM record_session") == [(2,)]


def test_a_mapping_that_cannot_be_used_changes_nothing(case, tmp_path):
    read_bytes(case, tmp_path, "log.json", log(["own"]))
    before = everything(case)
    with pytest.raises(UsageError):
        flow.reread(case, mapping=tmp_path / "none.toml")
    with pytest.raises(UsageError, match="unknown log format"):
        flow.reread(case, format_id="nonsense")
    assert everything(case) == before
