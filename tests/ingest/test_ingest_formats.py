"""All formats together: what each tells, one file of every format among junk, and the traps."""

from __future__ import annotations

import gzip
import json

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_cases import DATA, canonical, quarantine, read, read_bytes

from irkit.cli import cli
from irkit.ingest import dry_run, registry
from irkit.ingest.format import FIELDS, Capability, Format, Source
from irkit.ingest.streams import StreamSplitter

NOW = "2026-10-16T09:00:00+02:00"
FILES = sorted(
    path for path in DATA.iterdir() if path.suffix != ".toml" and ".golden" not in path.name
)
LETTER = {
    Capability.CREDENTIAL: ("credential",),
    Capability.IP: ("address",),
    Capability.SESSION: ("session",),
    Capability.CONTENT: ("prompt", "answer"),
    Capability.LOGPROBS: ("logprobs",),
    Capability.PARAMS: ("params",),
    Capability.STATUS: ("status",),
}


def golden_records() -> list[dict]:
    return [
        row
        for path in sorted(DATA.glob("*.golden.jsonl"))
        for row in map(json.loads, path.read_text("utf-8").splitlines())
        if "source_format" in row
    ]


def test_every_format_has_a_golden_record():
    assert {fmt.id for fmt in registry().formats} <= {
        row["source_format"] for row in golden_records()
    }


@pytest.mark.parametrize("fmt", registry().formats, ids=lambda fmt: fmt.id)
def test_the_matrix_agrees_with_the_declaration(fmt):
    told = fmt.told()
    assert fmt.coverage, "every built-in format says what it tells"
    for capability, names in LETTER.items():
        if capability in fmt.capabilities:
            assert any(told[name] != "no" for name in names), (fmt.id, capability)
        elif capability is not Capability.LOGPROBS:
            assert all(told[name] != "yes" for name in names), (fmt.id, capability)


def test_the_matrix_never_denies_what_a_golden_record_holds():
    held = {
        "credential": "credential_id",
        "address": "client_ip",
        "session": "session_id",
        "prompt": "prompt_text",
        "answer": "response_text",
        "logprobs": "logprobs",
        "tokens": "output_tokens",
        "status": "status_code",
        "latency": "latency_ms",
    }
    formats = {fmt.id: fmt.told() for fmt in registry().formats}
    for row in golden_records():
        lent = any("filled_by" in w or "joined" in w for w in row.get("parse_warnings", ()))
        if row["source_format"] not in formats or lent:
            continue
        for field, column in held.items():
            if column in row:
                assert formats[row["source_format"]][field] != "no", (row["source_format"], field)


def test_a_format_that_says_nothing_gets_its_row_from_its_declaration():
    fmt = Format(
        id="plain",
        title="plain",
        source=Source("x", "https://x.example"),
        order=1,
        capabilities=frozenset({Capability.CONTENT, Capability.IP}),
        absent="much",
        signature_paths={"q": "$.q"},
        signature="q IS NOT NULL",
        paths={"prompt": "$.q", "event_time": "$.t", "client_ip": "$.ip"},
    )
    told = fmt.told()
    assert list(told) == list(FIELDS)
    assert (told["address"], told["prompt"], told["time"]) == ("yes", "yes", "partly")
    assert (told["credential"], told["latency"]) == ("no", "no")


def test_list_formats_is_a_table_and_json():
    done = CliRunner().invoke(cli, ["list", "formats"])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    row = next(line for line in lines if line.startswith("azure_request_response"))
    assert row.split() == [
        *("azure_request_response", "part", "part", "-", "yes", "-", "-", "-", "-", "-"),
        *("yes", "yes"),
    ]
    assert "unconfirmed: " in done.stdout
    data = json.loads(CliRunner().invoke(cli, ["list", "formats", "--json"]).stdout)
    known = {row["id"]: row["fields"] for row in data}
    assert known["azure_request_response"]["address"] == "partly"
    assert set(known["kong_ai"]) == set(FIELDS)


def test_a_directory_with_every_format_and_junk_is_read_at_once(tmp_path):
    logs = tmp_path / "logs"
    deep = logs / "2026" / "hour=10"
    deep.mkdir(parents=True)
    for path in FILES:
        (logs / path.name).write_bytes(path.read_bytes())
    packed = gzip.compress((DATA / "litellm.ndjson").read_bytes())
    junk = {
        "cut.json.gz": packed[: len(packed) * 2 // 3],
        "empty.json": b"",
        "random.bin": bytes(range(128, 256)) * 20,
        "picture.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 50,
        "mail.txt": b"Dear team,\nthe logs are attached.\n",
        "page.html": b"<!DOCTYPE html>\n<html><body>no log</body></html>\n",
        "deep.json": b"[" * 50_000 + b"]" * 50_000,
    }
    for name, data in junk.items():
        (deep / name).write_bytes(data)
    long_name = "an-object-with-a-very-long-name-2026-02-11T10-00-00Z.ndjson"
    (deep / long_name).write_bytes((DATA / "vertex.ndjson").read_bytes() + b"\n")
    case = tmp_path / "c.irkit"
    run = CliRunner()
    assert run.invoke(cli, ["new", str(case), "--now", NOW]).exit_code == 0
    done = run.invoke(cli, ["preserve", str(case), str(logs), "--now", NOW])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].split()[:5] == ["file", "format", "sure", "calls", "aside"]
    rows = {line.split()[0]: line for line in lines[1 : lines.index("")]}
    assert rows["cloudtrail.json"].split()[1:5] == ["aws_cloudtrail", "100%", "2", "0"]
    assert "not recognised" in rows["mail.txt"]
    assert "empty" in rows["empty.json"]
    assert any(line.startswith("an-object-") for line in lines)
    assert "  picture.png                1 x image: no log" in lines
    assert " ".join(" ".join(lines).split()).count("bytes were recovered") == 1
    shown = json.loads(run.invoke(cli, ["status", str(case), "--json", "--now", NOW]).stdout)
    ingest = shown["ingest"]
    assert f"{ingest['entries']:,} entries" in lines[-1]


def test_dry_run_shows_the_vote_of_a_mixed_file(tmp_path):
    mixed = b"".join((DATA / name).read_bytes() for name in ("litellm.ndjson", "vertex.ndjson"))
    path = tmp_path / "mixed.json"
    path.write_bytes(mixed)
    done = CliRunner().invoke(cli, ["preserve", str(tmp_path / "none"), str(path), "--dry-run"])
    assert done.exit_code == 0
    assert "votes       litellm_slp 5, vertex_request_response 4, litellm_spendlogs 2" in (
        done.stdout
    )
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("access.log", "by time, as no id is logged"),
        ("cloudtrail.json", "by request id or correlation id, else by time"),
        ("litellm.ndjson", None),
    ],
)
def test_dry_run_says_what_would_be_tied_to_other_logs(name, how):
    role = dry_run([DATA / name])[0].role
    if how is None:
        assert role == ""
    else:
        assert "entries tell of a call without its texts" in role
        assert role.endswith(how)


# -- traps ----------------------------------------------------------------------------------------


def by_id(case) -> dict[str, dict]:
    return {row["request_id"]: row for row in canonical(case) if "request_id" in row}


def test_project_of_a_langsmith_run_is_no_session(case):
    read(case, DATA / "langsmith.ndjson")
    runs = by_id(case)
    assert runs["run-1"]["tenant_id"] == runs["run-2"]["tenant_id"] == "project-1"
    assert runs["run-1"]["session_id"] == "c-1"
    assert "session_id" not in runs["run-2"]


@pytest.mark.parametrize("kind", ["lines", "parquet"])
def test_langsmith_bodies_may_be_strings(case, tmp_path, kind):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [json.loads(line) for line in (DATA / "langsmith.ndjson").read_text().splitlines()][:2]
    for row in rows:
        for name in ("inputs", "outputs", "extra"):
            value = row[name]
            row[name] = value if isinstance(value, str) else json.dumps(value)
    path = tmp_path / "runs"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist([{k: r.get(k) for k in rows[0]} for r in rows]), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    read(case, path)
    found = by_id(case)
    assert found["run-1"]["prompt_text"] == "Who is Jane Roe?"
    assert found["run-2"]["choices"] == [[0, "555-0100", "stop"], [1, "555-0101", "length"]]


def test_preview_of_an_mlflow_trace_is_no_whole_text(case):
    read(case, DATA / "mlflow.ndjson")
    rows = {row["trace_id"]: row for row in canonical(case)}
    assert rows["tr-9d"]["content_state"] == "truncated"
    assert rows["tr-9d"]["parse_warnings"] == ["preview_instead_of_span"]
    # The trace lasted five seconds, the call in it less than one.
    assert rows["tr-9a"]["latency_ms"] == 900.0


def test_call_with_a_body_among_access_lines_is_a_call(case, tmp_path):
    plain = {
        "time": "2026-02-11T10:03:55Z",
        "remote_addr": "203.0.113.5",
        "method": "GET",
        "path": "/health",
        "status": 200,
    }
    asked = {"model": "m", "messages": [{"role": "user", "content": "who?"}]}
    call = {**plain, "path": "/v1/chat", "request": asked, "response": {"id": "r-1"}}
    text = {**plain, "path": "/v1/chat", "request_body": json.dumps(asked)}
    rows = [plain] * 800 + [call, text] + [plain] * 800
    read_bytes(case, tmp_path, "a.json", "\n".join(map(json.dumps, rows)).encode())
    found = case.rows("SELECT source_format, count(*) FROM query_record GROUP BY 1 ORDER BY 1")
    assert found == [("openai_pair", 2), ("web_access", 1600)]
    assert [row["prompt_text"] for row in canonical(case) if "prompt_text" in row] == ["who?"] * 2


def test_encrypted_bodies_are_no_empty_prompts(case):
    read(case, DATA / "cloudflare.ndjson")
    found = {row["source_format"]: row for row in canonical(case)}
    assert found["cloudflare_logpush"]["content_state"] == "encrypted"
    assert "prompt_text" not in found["cloudflare_logpush"]


def test_half_a_body_is_marked(case):
    read(case, DATA / "cloudflare.ndjson")
    assert by_id(case)["02J"]["content_state"] == "truncated"


def test_answers_from_a_cache_are_marked(case):
    read(case, DATA / "cloudflare.ndjson", DATA / "portkey.ndjson")
    marked = [row["request_id"] for row in canonical(case)
              if "answered_from_cache" in row.get("parse_warnings", ())]  # fmt: skip
    assert marked == ["03J", "p-2"]


def test_spans_around_a_call_are_no_calls_but_lend_the_address(case):
    read(case, DATA / "otel_generations.ndjson")
    first = [row for row in canonical(case) if row["entry_no"] == 1]
    assert len(first) == 1
    assert first[0]["client_ip"] == "203.0.113.44"
    assert (1, "not_a_call", "part_of_entry") in [
        (row[0], row[3], row[4]) for row in quarantine(case)
    ]


def test_messages_in_other_exports_find_their_span(case):
    read(case, DATA / "otel_generations.ndjson")
    kept = [row for row in canonical(case) if "duplicate_of" not in row]
    told = {row.get("prompt_text"): row for row in kept}
    call = told["Tell me about Jane Roe"]
    assert (call["output_tokens"], call["model_requested"], call["temperature"]) == (
        *(47, "gpt-4o", 0.5),
    )
    assert call["params_known"]
    assert told["another call"]["response_text"] == "its answer, in another export"
    assert len(kept) == len({row["record_id"] for row in kept}) == len(told)


def test_reused_answer_id_of_interleaved_streams_is_told_apart(case):
    read(case, DATA / "stream.sse")
    found = by_id(case)
    assert found["c-1"]["response_text"] == "Jane"
    assert found["c-2"]["response_text"] == "other answer"
    assert found["msg_1"]["response_text"] == "Hello"
    assert found["c-3"]["parse_warnings"] == ["stream_without_end"]


def test_python_literals_of_a_server_log_are_read_not_run(case, tmp_path):
    line = (
        "INFO 02-11 10:03:55 [logger.py:42] Received request {}: prompt: {}, params:"
        " SamplingParams(n=1, temperature=0.5), prompt_token_ids: None.\n"
    )
    data = line.format("a", r"'\x1b[31m \'\u00e9\\n'") + line.format("b", "__import__('os')")
    read_bytes(case, tmp_path, "v.log", data.encode())
    assert [row["prompt_text"] for row in canonical(case)] == ["\x1b[31m 'é\\n"]
    assert [row[3] for row in quarantine(case)] == ["bad_json"]


def test_trace_download_gives_its_caller_to_its_calls(case):
    read(case, DATA / "langfuse_traces.ndjson")
    found = by_id(case)
    assert (found["o-1"]["principal_id"], found["o-1"]["session_id"]) == ("u-8", "s-8")
    assert found["tr1"]["record_kind"] == "access_only"


def test_converted_prompt_of_an_attack_tool_is_the_one_that_was_sent(case):
    read(case, DATA / "pyrit.json")
    answer = by_id(case)["py-3"]
    assert answer["prompt_text"] == "d2hvIGlzIGphbmU="
    assert answer["record_kind"] == "attack_tool"


@pytest.mark.parametrize("shape", ["array", "documents"])
def test_byte_order_mark_before_documents_is_no_entry(case, tmp_path, shape):
    rows = [json.loads(line) for line in (DATA / "langsmith.ndjson").read_text().splitlines()][:2]
    text = (
        json.dumps(rows, indent=1)
        if shape == "array"
        else "\n".join(json.dumps(row, indent=1) for row in rows)
    )
    read_bytes(case, tmp_path, "bom.json", b"\xef\xbb\xbf" + text.encode())
    assert case.rows("SELECT entries, records, quarantined FROM evidence_source") == [(2, 2, 0)]


# -- streams --------------------------------------------------------------------------------------

EVENT = st.sampled_from(
    [
        b'data: {"id":"a","object":"chat.completion.chunk","choices":[{"delta":{"content":"x"}}]}',
        b'data: {"id":"b","object":"chat.completion.chunk","choices":[{"delta":{"content":"y"}}]}',
        b"data: [DONE]",
        b"",
        b": note",
        b"event: message_start",
        b'data: {"type":"message_start","message":{"id":"m"}}',
        b'data: {"type":"content_block_delta","delta":{"text":"z"}}',
        b'data: {"type":"message_stop"}',
        b'data: {"other": 1}',
        b"data: nonsense",
        b"\xff\xfe",
        b'{"id":"a","object":"chat.completion.chunk","choices":[{"finish_reason":"stop"}]}',
    ]
)


@given(st.lists(EVENT, max_size=30), st.integers(1, 200), st.booleans())
@settings(max_examples=60)
def test_streams_lose_no_event_however_they_are_cut(lines, size, ends):
    data = b"\n".join(lines) + (b"\n" if ends else b"")
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    chunks = list(StreamSplitter(1, 1 << 20).split(pieces))
    texts = [text for chunk in chunks for text in chunk.lines.to_pylist()]
    records = [json.loads(text) for text in texts if text.startswith('{"answer_stream"')]
    events = sum(len(record["events"]) for record in records)
    known = sum(b'"chat.completion.chunk"' in line or b'{"type"' in line for line in lines)
    assert events == known
    odd = sum(b'"other"' in line or b"nonsense" in line or b"\xff" in line for line in lines)
    assert len(texts) - len(records) + sum(len(chunk.rejects) for chunk in chunks) == odd
    numbers = [
        number
        for chunk in chunks
        for number in (*chunk.entry_no.tolist(), *(row.entry_no for row in chunk.rejects))
    ]
    assert len(numbers) == len(set(numbers))


def test_paths_of_files_do_not_matter(case, tmp_path):
    read_bytes(case, tmp_path, "AWSLogs/picture.png", (DATA / "vertex.ndjson").read_bytes())
    assert {row["source_format"] for row in canonical(case)} == {"vertex_request_response"}
