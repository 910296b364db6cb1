"""Runs as a whole: resuming, replacing, plug-ins, sessions, duplicates, coverage, preview."""

from __future__ import annotations

import json
import sys
import textwrap
from importlib.metadata import EntryPoint

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_cases import DATA, assert_balanced, canonical, read, read_bytes

from irkit.case import Case, Settings
from irkit.case.evidence import evidence_path, intake
from irkit.errors import UsageError
from irkit.ingest import derive_sessions, dry_run, ingest, pipeline, registry
from irkit.ingest import formats as formats_package
from irkit.ingest.block import NO_GUESS, join
from irkit.ingest.detect import judge
from irkit.ingest.framing import SourceReader
from irkit.ingest.project import Projector
from irkit.ingest.projection import compile_format
from irkit.ingest.registry import GROUP
from irkit.ingest.sources import Sources
from irkit.model import Progress, Stage

GOLDEN = [
    path for path in sorted(DATA.iterdir()) if path.suffix != ".toml" and ".golden" not in path.name
]
TABLES = ("query_record", "query_message", "query_choice", "query_logprob", "text", "quarantine")


def call(number: int, minute: int, **fields) -> dict:
    return {
        "ts": f"2026-10-05T{10 + minute // 60:02d}:{minute % 60:02d}:00Z",
        "request_id": f"q-{number}",
        "status": 200,
        "request": {"model": "m", "messages": [{"role": "user", "content": f"question {number}"}]},
        "response": {"id": f"r-{number}", "choices": [{"index": 0, "message": {"content": "a"}}]},
        **fields,
    }


def lines(*rows: dict) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def snapshot(case: Case) -> dict[str, list]:
    return {name: case.rows(f"SELECT * FROM {name} ORDER BY ALL") for name in TABLES}


# -- resume ---------------------------------------------------------------------------------------


def test_second_run_does_nothing(case):
    files = [DATA / "bedrock_invocation.ndjson", DATA / "openai_pair.ndjson", DATA / "otlp.ndjson"]
    read(case, *files)
    before = snapshot(case)
    report = ingest(case)
    assert (report.skipped, report.sources) == (len(files), ())
    assert snapshot(case) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_interrupted_run_leaves_a_case_that_opens_and_finishes(tmp_path, clock, monkeypatch, error):
    path = tmp_path / "c.irkit"
    rows = [call(n, n % 600) for n in range(3000)]
    files = []
    for number in range(3):
        file = tmp_path / f"{number}.json"
        file.write_bytes(lines(*rows[number * 1000 : number * 1000 + 1000]))
        files.append(file)
    monkeypatch.setattr(pipeline, "BLOCK", 100_000)
    monkeypatch.setattr("irkit.ingest.framing.BLOCK", 100_000)
    monkeypatch.setattr("irkit.ingest.framing.HEAD", 20_000)
    monkeypatch.setattr("irkit.ingest.containers.PIECE", 20_000)
    real = pipeline.Loader.write
    calls = 0

    def failing(self, *args):
        nonlocal calls
        calls += 1
        if calls == 5:
            raise error("stop")
        real(self, *args)

    with Case.create(path, clock=clock) as case:
        intake(case, files)
        monkeypatch.setattr(pipeline.Loader, "write", failing)
        with pytest.raises(error):
            ingest(case)
    monkeypatch.setattr(pipeline.Loader, "write", real)
    with Case.open(path, write=True, clock=clock) as case:
        done = case.rows("SELECT count(*) FROM stage_progress WHERE stage = 'ingest'")[0][0]
        stored = case.rows("SELECT count(*) FROM query_record")[0][0]
        assert 0 < done < 3
        assert stored == done * 1000
        report = ingest(case)
        assert (len(report.sources), report.skipped) == (3 - done, done)
        assert_balanced(case)
        assert case.rows("SELECT count(*), count(DISTINCT record_id) FROM query_record") == [
            (3000, 3000)
        ]
        resumed = snapshot(case)
    with Case.create(tmp_path / "d.irkit", clock=clock) as case:
        intake(case, files)
        ingest(case)
        straight = snapshot(case)
    assert resumed == straight


def test_other_inputs_replace_rows_and_drop_orphan_texts(case, tmp_path):
    read_bytes(case, tmp_path, "a.json", lines(call(1, 1)))
    assert case.rows("SELECT count(*) FROM text") == [(2,)]
    mapping = tmp_path / "m.toml"
    mapping.write_text('[format]\nid = "own"\n[columns]\nprompt = "$.request_id"\n')
    ingest(case, mapping=mapping)
    assert case.rows("SELECT source_format FROM query_record") == [("own",)]
    assert case.rows("SELECT body FROM text") == [("q-1",)]
    assert_balanced(case)


def test_sources_can_be_chosen_and_unknown_ones_are_refused(case, tmp_path):
    (tmp_path / "a.json").write_bytes(lines(call(1, 1)))
    (tmp_path / "b.json").write_bytes(lines(call(2, 2)))
    intake(case, [tmp_path / "a.json", tmp_path / "b.json"])
    assert [source.source_id for source in ingest(case, [2]).sources] == [2]
    with pytest.raises(UsageError, match="no evidence source 9"):
        ingest(case, [9])
    with pytest.raises(UsageError, match="unknown log format"):
        ingest(case, format="nonsense")


def test_progress_ends_at_the_total(case, tmp_path):
    seen: list[Progress] = []
    path = tmp_path / "a.json"
    path.write_bytes(lines(*(call(n, n) for n in range(50))))
    intake(case, [path])
    ingest(case, progress=seen.append)
    assert seen[-1].done == seen[-1].total == path.stat().st_size
    assert {step.stage for step in seen} == {Stage.INGEST}


def test_same_evidence_gives_same_rows_whatever_the_block_size(tmp_path, clock, monkeypatch):
    results = []
    for number, size in enumerate((1 << 13, 16 << 20)):
        monkeypatch.setattr(pipeline, "BLOCK", size)
        monkeypatch.setattr("irkit.ingest.framing.BLOCK", size)
        with Case.create(tmp_path / f"{number}.irkit", clock=clock) as case:
            read(case, DATA / "openai_pair.ndjson", DATA / "litellm.ndjson")
            results.append(snapshot(case))
    assert results[0] == results[1]


# -- mapping --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_narrow_and_general_statements_agree(projector, path):
    """A sampled shape may only save time: rows must be those of the general statement."""
    raw = [line for line in path.read_bytes().split(b"\n") if line.strip()]
    lines = pa.array(raw, pa.large_binary()).cast(pa.large_string())
    shapes = set()
    for line in raw:
        # Each record alone decides the shape once, so every dialect is narrowed to.
        verdict = judge(projector.router, registry().formats, [line])
        fmt = projector.format(verdict.format_id)
        shape = projector.shape(fmt, [line]) if fmt else None
        if shape is not None:
            shapes.add((fmt.id, shape))
    for name, shape in sorted(shapes, key=repr):
        fmt = projector.format(name)
        narrow, general = projector.project(lines, fmt, shape), projector.project(lines, fmt)
        columns = [c for c in narrow.records.column_names if c != "position"]
        assert narrow.records.select(columns).to_pylist() == (
            general.records.select(columns).to_pylist()
        )
        assert narrow.rejects == general.rejects


@pytest.mark.parametrize("fmt", registry().formats, ids=lambda fmt: fmt.id)
def test_every_declaration_compiles_and_says_where_it_is_from(projector, fmt):
    projector._engine.check(compile_format(fmt, split=True))
    assert fmt.source.url.startswith("https://")
    assert fmt.title
    assert fmt.absent


def account(projector: Projector, path) -> tuple[int, int, int, int]:
    """Read and map a file without a case: entries, entries with records, blanks, quarantined."""
    reader = SourceReader(1, path, "0" * 64, Settings(max_line_mb=1))
    entries = bearing = blanks = bad = 0
    for chunk in reader.chunks():
        block = join([chunk], [], 0, NO_GUESS)
        found = projector.project(block.lines, None)
        with_records = set(found.records.column("row_no").to_pylist())
        with_rejects = {part.row_no for part in found.rejects}
        assert with_records | with_rejects == set(range(len(block)))
        bearing += len(with_records)
        bad += len(with_rejects - with_records) + len(chunk.rejects)
        blanks += chunk.blanks
        entries += len(block) + len(chunk.rejects) + chunk.blanks
        numbers = [*chunk.entry_no.tolist(), *(row.entry_no for row in chunk.rejects)]
        assert len(set(numbers)) == len(numbers)
    return entries, bearing, blanks, bad


MUTATION = st.tuples(
    st.sampled_from(["flip", "cut", "insert", "delete", "copy", "swap"]),
    st.integers(0, 1 << 20),
    st.binary(min_size=1, max_size=6)
    | st.sampled_from([b'"', b"{", b"}", b"\\", b"\n", b"\xff", b"\0"]),
    st.integers(1, 400),
)


@given(st.sampled_from(GOLDEN), st.lists(MUTATION, min_size=1, max_size=4))
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_damaged_logs_never_crash_and_always_add_up(projector, tmp_path, source, mutations):
    data = bytearray(source.read_bytes())
    for kind, place, piece, length in mutations:
        at = place % (len(data) + 1)
        if kind == "flip":
            data[at : at + len(piece)] = piece
        elif kind == "cut":
            del data[at:]
        elif kind == "insert":
            data[at:at] = piece
        elif kind == "delete":
            del data[at : at + length]
        elif kind == "copy":
            data[at:at] = data[at : at + length]
        else:
            other = (place * 7919) % (len(data) + 1)
            data[at : at + length], data[other : other + length] = (
                data[other : other + length],
                data[at : at + length],
            )
    path = tmp_path / "mutated"
    path.write_bytes(bytes(data))
    entries, bearing, blanks, bad = account(projector, path)
    assert entries == bearing + blanks + bad


def test_hostile_values_land_in_text_not_in_sql(case, tmp_path):
    nasty = "'; DROP TABLE text; -- \\ \" $1 {} %s \x1b[31m </script> \u202e"
    row = call(1, 1, session_id=nasty, key_id=nasty)
    row["request"]["messages"][0]["content"] = nasty
    row["request"]["model"] = nasty
    read_bytes(case, tmp_path, "x.json", lines(row))
    record = canonical(case)[0]
    assert record["prompt_text"] == record["model_requested"] == record["session_id"] == nasty


# -- plug-ins -------------------------------------------------------------------------------------

PLUGIN = textwrap.dedent(
    """
    from irkit.ingest.format import Capability, Format, Source

    FORMAT = Format(
        id="acme",
        title="ACME log",
        source=Source("ACME manual", "https://example.test/manual"),
        order=5,
        capabilities=frozenset({Capability.CONTENT}),
        absent="Everything else.",
        signature_paths={"q": "$.acme_question"},
        signature="q IS NOT NULL",
        paths={"event_time": "$.at", "prompt": "$.acme_question", "completion": "$.acme_answer"},
    )
    """
)


@pytest.fixture
def fresh_registry():
    registry.cache_clear()
    yield
    registry.cache_clear()
    for name in ("acme_log", "broken_log"):
        sys.modules.pop(f"irkit.ingest.formats.{name}", None)


def test_adding_a_format_is_one_new_file(case, tmp_path, monkeypatch, fresh_registry):
    (tmp_path / "acme_log.py").write_text(PLUGIN)
    monkeypatch.setattr(formats_package, "__path__", [*formats_package.__path__, str(tmp_path)])
    read_bytes(case, tmp_path, "a.json", b'{"at": 1791187200, "acme_question": "why?"}\n')
    assert canonical(case)[0]["source_format"] == "acme"
    assert canonical(case)[0]["prompt_text"] == "why?"
    assert "acme" in {row["id"] for row in registry().rows()}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise RuntimeError('boom')", "boom"),
        ("import a_module_that_is_missing", "a_module_that_is_missing"),
        ("FORMAT = 7", "neither a Format nor an Envelope"),
        (PLUGIN.replace('id="acme"', 'id="openai_pair"'), "exist already"),
        (PLUGIN.replace('"prompt": ', '"BAD NAME": '), "not a valid name"),
        (PLUGIN.replace('signature="q IS NOT NULL"', 'signature="q IS NOT"'), "SQL"),
        (PLUGIN.replace('signature="q IS NOT NULL"', 'signature="nope = 1"'), "SQL"),
        (PLUGIN.replace('"$.at"', '"no path"'), "no JSON path"),
    ],
)
def test_broken_plugin_is_a_visible_warning(
    case, tmp_path, monkeypatch, fresh_registry, code, words
):
    (tmp_path / "broken_log.py").write_text(code)
    monkeypatch.setattr(formats_package, "__path__", [*formats_package.__path__, str(tmp_path)])
    report = read_bytes(case, tmp_path, "a.json", lines(call(1, 1)))
    assert len(canonical(case)) == 1
    assert "broken_log" in report.warnings[0]
    row = next(row for row in registry().rows() if row["id"] == "broken_log")
    assert words in row["problem"]


def test_formats_come_from_entry_points_too(tmp_path, monkeypatch, fresh_registry):
    (tmp_path / "third_party_log.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    point = EntryPoint("third", "third_party_log:FORMAT", GROUP)
    bad = EntryPoint("worse", "no_such_module:FORMAT", GROUP)
    monkeypatch.setattr(
        sys.modules["irkit.ingest.registry"], "entry_points", lambda group: [point, bad]
    )
    assert registry().get("acme").title == "ACME log"
    assert [row.name for row in registry().broken] == ["worse"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "cannot read the mapping"),
        ("[columns]\n", "no .columns."),
        ('[columns]\nnot_a_column = "$.a"\n', "unknown column 'not_a_column'"),
        ('[columns]\nprompt = "$.a[*].b"\n', "wildcard"),
        ('[columns]\nprompt = "$..["\n', "no JSON path"),
        ("[columns]\nprompt = 7\n", "must be a JSON path"),
        ('[format]\nid = "A B"\n[columns]\nprompt = "$.a"\n', "no format id"),
        ('[columns]\nprompt = "$.a"\n[constants]\nprovider = []\n', "constants.provider"),
    ],
)
def test_unusable_mapping_is_one_clear_error(case, tmp_path, text, words):
    path = tmp_path / "m.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        ingest(case, mapping=path)


# -- sessions and duplicates ----------------------------------------------------------------------


def test_sessions_from_ids_and_from_pauses(case, tmp_path):
    rows = [
        call(1, 0, key_id="k1", session_id="s"),
        call(2, 90, key_id="k1", session_id="s"),
        call(3, 0, key_id="k2", session_id="s"),
        call(4, 0, key_id="k1"),
        call(5, 29, key_id="k1"),
        call(6, 59, key_id="k1"),
        call(7, 90, key_id="k1"),
        call(8, 10, client_ip="192.0.2.1"),
        call(9, 11, client_ip="192.0.2.1"),
        call(10, 11, client_ip="192.0.2.2"),
        call(11, 12),
    ]
    read_bytes(case, tmp_path, "a.json", lines(*rows))
    assert derive_sessions(case) == 7
    found = case.rows("SELECT session_key, kind, queries FROM session ORDER BY session_key")
    assert found == [
        ("ip:192.0.2.1|~20261005T101000.000000Z", "derived", 2),
        ("ip:192.0.2.2|~20261005T101100.000000Z", "derived", 1),
        ("k1|s", "logged", 2),
        ("k1|~20261005T100000.000000Z", "derived", 3),
        ("k1|~20261005T113000.000000Z", "derived", 1),
        ("k2|s", "logged", 1),
        ("unattributed:1|~20261005T101200.000000Z", "derived", 1),
    ]
    linked = dict(
        case.rows(
            "SELECT request_id, session_key FROM record_session JOIN query_record USING (record_id)"
        )
    )
    assert linked["q-5"] == linked["q-6"] == linked["q-4"] != linked["q-7"]
    before = snapshot(case), found
    derive_sessions(case)
    again = case.rows("SELECT session_key, kind, queries FROM session ORDER BY session_key")
    assert (snapshot(case), again) == before


def test_session_gap_is_a_setting(tmp_path, clock):
    with Case.create(
        tmp_path / "g.irkit", settings=Settings(session_gap_minutes=5), clock=clock
    ) as case:
        rows = [call(n, n * 6, key_id="k") for n in range(4)]
        read_bytes(case, tmp_path, "a.json", lines(*rows))
        assert derive_sessions(case) == 4


def test_repeated_calls_point_to_the_first(case, tmp_path):
    first, second = call(1, 5, key_id="k"), call(2, 6, key_id="k")
    read_bytes(case, tmp_path, "b.json", lines(second, first, second))
    report = read_bytes(case, tmp_path, "a.json", lines(first, call(3, 7, key_id="k")))
    assert report.duplicates == 2
    rows = case.rows(
        "SELECT source_id, entry_no, duplicate_of FROM query_record ORDER BY source_id, entry_no"
    )
    ids = {
        (source, entry): record
        for source, entry, record in case.rows(
            "SELECT source_id, entry_no, record_id FROM query_record"
        )
    }
    assert rows == [
        (1, 1, None),
        (1, 2, None),
        (1, 3, ids[1, 1]),
        (2, 1, ids[1, 2]),
        (2, 2, None),
    ]
    derive_sessions(case)
    assert case.rows("SELECT sum(queries) FROM session") == [(3,)]


def test_reused_request_id_hides_no_call(case, tmp_path):
    rows = [call(n, n, request_id="chosen-by-the-client") for n in range(5)]
    report = read_bytes(case, tmp_path, "a.json", lines(*rows))
    assert report.duplicates == 0
    assert "clients may set them" in report.warnings[0]


# -- coverage and preview -------------------------------------------------------------------------


def test_capability_names_gaps_and_what_is_missing(case, tmp_path):
    rows = [call(n, n, key_id="k") for n in range(60)]
    rows += [
        {**call(100 + n, n), "ts": f"2026-10-06T08:{n:02d}:00Z", "key_id": "k"} for n in range(30)
    ]
    read_bytes(case, tmp_path, "a.json", lines(*rows))
    capability = json.loads(case.rows("SELECT capability FROM evidence_source")[0][0])
    assert capability["gaps"] == [["2026-10-05T10:59:00Z", "2026-10-06T08:00:00Z"]]
    told = {name for name, value in capability.items() if value is True}
    assert told == {"has_credential", "has_content", "has_params", "has_status"}
    assert "no failed call" in capability["notes"][0]
    low, high = case.rows("SELECT min_event_time, max_event_time FROM evidence_source")[0]
    assert (low.isoformat(), high.isoformat()) == ("2026-10-05T10:00:00", "2026-10-06T08:29:00")


def test_preview_tells_format_and_gaps_without_values(tmp_path):
    path = tmp_path / "logs" / "a.json"
    path.parent.mkdir()
    secret = "Jane Roe, 555-0100"
    row = call(1, 1, key_id="the-key-of-jane", client_ip="192.0.2.1")
    row["request"]["messages"][0]["content"] = secret
    path.write_bytes(lines(row, call(2, 2)) + b"broken\n")
    preview = dry_run([path.parent])[0]
    assert (preview.format, preview.framing, preview.sampled) == ("openai_pair", "ndjson", 3)
    assert preview.votes == {"openai_pair": 2, "unknown": 1}
    assert "has_logprobs" in preview.missing
    assert "has_ip" not in preview.missing
    text = "\n".join(preview.lines())
    assert "1 x bad_json" in text
    assert "prompt_chars=18" in text
    for value in ("Jane", "555-0100", "the-key-of-jane", "192.0.2.1"):
        assert value not in text
    with pytest.raises(UsageError, match="no such file"):
        dry_run([tmp_path / "nowhere"])


@pytest.mark.parametrize("data", [b"", b"\n\n", b"PK\x03\x04", b"\x1f\x8bxx", b"words\nwords\n"])
def test_preview_of_what_is_no_log(tmp_path, data):
    path = tmp_path / "x"
    path.write_bytes(data)
    preview = dry_run([path])[0]
    assert (preview.format, preview.first) == ("", ())
    assert preview.lines()


# -- calls logged in two entries ------------------------------------------------------------------


def test_halves_are_joined_once_and_again_after_more_evidence(case):
    read(case, DATA / "kserve.ndjson")
    first = snapshot(case)
    joined = case.rows(
        "SELECT count(*) FROM query_record WHERE list_contains(parse_warnings,"
        " 'joined_with_request')"
    )
    assert joined == [(3,)]
    report = read(case, DATA / "batch.ndjson")
    assert report.joined == 4
    kserve = {
        name: [row for row in rows if name == "text" or 1 in row[:3]]
        for name, rows in snapshot(case).items()
    }
    for name in ("query_record", "query_message", "query_choice"):
        assert kserve[name] == first[name]


def test_ambiguous_halves_stay_apart(case, tmp_path):
    ask = {"custom_id": "x", "method": "POST", "url": "/v1/completions"}
    rows = [
        {**ask, "body": {"model": "m", "prompt": "one"}},
        {**ask, "body": {"model": "m", "prompt": "two"}},
        {
            "id": "b-1",
            "custom_id": "x",
            "response": {
                "status_code": 200,
                "body": {"object": "text_completion", "choices": [{"index": 0, "text": "t"}]},
            },
        },
    ]
    report = read_bytes(case, tmp_path, "a.json", lines(*rows))
    assert report.joined == 0
    assert case.rows("SELECT count(*) FROM query_record WHERE duplicate_of IS NOT NULL") == [(0,)]


def test_sources_lie_where_the_case_says(case, tmp_path):
    inside, outside = tmp_path / "a.json", tmp_path / "b.json"
    inside.write_bytes(lines(call(1, 1)))
    outside.write_bytes(lines(call(2, 2)))
    intake(case, [inside])
    intake(case, [outside], in_place=True)
    found = [source.reader.path for source in Sources(case, None, "")]
    assert found == [evidence_path(case, 1), evidence_path(case, 2)]
