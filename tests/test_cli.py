"""The command line as people and scripts meet it: subprocesses, exit codes, one clear line."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from irkit.case import Case
from irkit.cli import cli
from irkit.errors import ExitCode

PAIR = {
    "ts": "2026-10-05T10:00:00Z",
    "key_id": "key-1",
    "client_ip": "192.0.2.7",
    "status": 200,
    "request": {
        "model": "m",
        "messages": [{"role": "user", "content": "hello there"}],
        "max_tokens": 8,
    },
    "response": {
        "id": "r-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
        ],
        "usage": {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3},
    },
}


def pair(number: int) -> bytes:
    record = json.loads(json.dumps(PAIR))
    record["response"]["id"] = f"r-{number}"
    return json.dumps(record).encode() + b"\n"


def irkit(*args, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "irkit", *map(str, args)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **kwargs,
    )


def one_clear_error(done, code, *words):
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) <= 3, done.stderr
    for word in words:
        assert word in done.stderr
    assert done.stdout == ""


@pytest.fixture
def logs(tmp_path):
    path = tmp_path / "gateway.jsonl"
    path.write_bytes(b"".join(pair(n) for n in range(20)))
    return path


@pytest.fixture
def case_path(tmp_path):
    path = tmp_path / "c.irkit"
    Case.create(path).close()
    return path


def test_help_loads_nothing_heavy():
    script = (
        "import sys\nfrom irkit.cli import main\nsys.argv = ['irkit', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'textual', 'spacy', 'presidio_analyzer', 'polars', 'scipy', 'numpy', 'rich',"
        " 'pyarrow', 'duckdb', 'reportlab'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
    assert "irkit demo" in done.stdout


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_help_with_its_options_explained(name):
    command = cli.commands[name]
    assert command.help
    done = irkit(name, "--help")
    assert done.returncode == 0
    for parameter in command.params:
        if parameter.param_type_name == "option":
            assert parameter.opts[0] in done.stdout


def test_contract_verbs_exist():
    verbs = (
        "demo new preserve scope baseline assess notify contain remediate batch export status"
        " verify list selftest open"
    )
    assert set(verbs.split()) <= set(cli.commands)


def test_new_preserve_export_round_trip(tmp_path, logs):
    case, out = tmp_path / "a.irkit", tmp_path / "out"
    assert irkit("new", case, "--title", "T").returncode == 0
    done = irkit("preserve", case, logs, "--json")
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)[0]
    assert (row["entries"], row["records"], row["quarantined"]) == (20, 20, 0)
    assert irkit("export", case, "--out", out).returncode == 0
    evidence = json.loads((out / "evidence.jsonl").read_text())
    assert evidence["state"] == "verified"
    assert evidence["original_name"] == "gateway.jsonl"
    assert irkit("verify", case).returncode == 0


def test_unknown_format_names_the_mapping_file_and_the_mapping_reads_it(case_path, tmp_path):
    log = tmp_path / "own.jsonl"
    log.write_text('{"when": "2026-10-05T10:00:00Z", "question": "hi", "answer": "ho"}\n' * 3)
    done = irkit("preserve", case_path, log, "--json")
    assert done.returncode == 0
    assert "--mapping FILE" in done.stderr
    assert json.loads(done.stdout)[0]["quarantined"] == 3
    mapping = tmp_path / "own.toml"
    mapping.write_text(
        '[format]\nid = "own"\n[columns]\nevent_time = "$.when"\nprompt = "$.question"\n'
        'completion = "$.answer"\n'
    )
    done = irkit("preserve", case_path, log, "--mapping", mapping, "--json")
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)[0]
    assert (row["format"], row["records"], row["quarantined"]) == ("own", 3, 0)
    assert "--mapping FILE" not in done.stderr


def test_missing_log_file(case_path, tmp_path):
    one_clear_error(
        irkit("preserve", case_path, tmp_path / "nowhere.jsonl"), ExitCode.USAGE, "nowhere.jsonl"
    )


def test_missing_case(tmp_path, logs):
    one_clear_error(
        irkit("preserve", tmp_path / "no.irkit", logs), ExitCode.USAGE, "no.irkit", "irkit new"
    )


def test_scope_without_records(case_path):
    one_clear_error(irkit("scope", case_path), ExitCode.USAGE, "no query records")


def test_wrong_corpus_file(case_path, logs, tmp_path):
    irkit("preserve", case_path, logs)
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"something": "else"}\n')
    one_clear_error(
        irkit("scope", case_path, "--corpus", corpus), ExitCode.USAGE, "corpus.jsonl", "text"
    )
    corpus.write_bytes(b"\x00\x01\x02\xff" * 100)
    done = irkit("scope", case_path, "--corpus", corpus)
    one_clear_error(done, ExitCode.USAGE, "corpus.jsonl")


def test_bad_time_and_naive_time(case_path):
    one_clear_error(irkit("verify", case_path, "--now", "yesterday"), ExitCode.USAGE, "--now")
    one_clear_error(
        irkit("--now", "2026-10-16T09:00:00", "verify", case_path), ExitCode.USAGE, "time zone"
    )


def test_unknown_option_is_one_line(case_path):
    done = irkit("scope", case_path, "--nonsense")
    assert done.returncode == ExitCode.USAGE
    assert "--nonsense" in done.stderr
    assert "Traceback" not in done.stderr


def test_busy_case_has_its_own_exit_code(case_path, logs):
    with Case.open(case_path, write=True):
        one_clear_error(irkit("preserve", case_path, logs), ExitCode.BUSY, "in use")


def test_changed_evidence_stops_the_analysis(case_path, logs):
    irkit("preserve", case_path, logs)
    kept = next((case_path / "evidence" / "data").iterdir())
    kept.chmod(0o644)
    kept.write_bytes(kept.read_bytes().replace(b"hello", b"jello"))
    one_clear_error(irkit("scope", case_path), ExitCode.MISMATCH, "changed after intake")
    done = irkit("verify", case_path)
    assert done.returncode == ExitCode.MISMATCH
    assert "mismatch" in done.stdout


def test_damaged_input_is_quarantined_and_strict_says_so(case_path, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    good = b"".join(pair(n) for n in range(50))
    (folder / "half.jsonl").write_bytes(good + b'{"ts": "2026-10-05T10:0')
    (folder / "latin.jsonl").write_bytes(good[:-2] + b"\xff\xfe}\n" + pair(99))
    (folder / "cut.jsonl.gz").write_bytes(gzip.compress(good * 20)[:-300])
    (folder / "noise.jsonl.gz").write_bytes(b"\x1f\x8b not gzip at all")
    (folder / "strange.txt").write_text("this is no log\nat all\n")
    done = irkit("preserve", case_path, folder, "--json", "--strict")
    assert done.returncode == ExitCode.QUARANTINED, done.stderr
    assert "Traceback" not in done.stderr
    rows = {row["file"]: row for row in json.loads(done.stdout)}
    assert len(rows) == 5
    assert rows["half.jsonl"]["records"] == 50
    assert rows["half.jsonl"]["quarantined"] == 1
    assert rows["latin.jsonl"]["quarantined"] == 1
    assert rows["cut.jsonl.gz"]["quarantined"] >= 1
    assert rows["cut.jsonl.gz"]["records"] > 0
    assert rows["noise.jsonl.gz"]["quarantined"] >= 1
    assert rows["strange.txt"]["records"] == 0
    assert irkit("status", case_path).returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_interrupt_keeps_finished_work_and_says_how_to_go_on(case_path, tmp_path):
    big = tmp_path / "big.jsonl"
    big.write_bytes(b"".join(pair(n) for n in range(60_000)))
    process = subprocess.Popen(
        [sys.executable, "-m", "irkit", "preserve", str(case_path), str(big)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # Wait until the work has really begun, then press Ctrl-C.
    deadline = time.monotonic() + 60
    while not (case_path / "writer.json").exists() and time.monotonic() < deadline:
        if process.poll() is not None:
            break
    process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=60)
    assert process.returncode in (ExitCode.INTERRUPTED, ExitCode.OK)
    assert "Traceback" not in words
    done = irkit("preserve", case_path, big, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["records"] == 60_000


def test_encrypt_is_refused_honestly_and_creates_nothing(tmp_path):
    path = tmp_path / "e.irkit"
    one_clear_error(irkit("new", path, "--encrypt"), ExitCode.USAGE, "cannot encrypt")
    assert not path.exists()


def test_open_without_a_terminal_names_the_plain_command(case_path):
    one_clear_error(irkit("open", case_path), ExitCode.USAGE, "irkit status")


def test_error_text_cannot_carry_terminal_escapes(case_path):
    done = irkit("preserve", case_path, "evil\x1b[31mname.jsonl")
    assert done.returncode == ExitCode.USAGE
    assert "\x1b" not in done.stderr
