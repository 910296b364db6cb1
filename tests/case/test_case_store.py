from __future__ import annotations

import json
import subprocess
import sys

import duckdb
import polars as pl
import pytest

from irkit.case import Case, Settings
from irkit.case.schema import MIGRATIONS
from irkit.case.store import storage_error
from irkit.errors import CaseBusy, ExitCode, StorageError, UsageError
from irkit.model import Stage


def test_create_then_open_keeps_title_and_settings(tmp_path, clock):
    path = tmp_path / "a.irkit"
    settings = Settings(fpr=0.01, deep=True)
    with Case.create(path, title='Quote " and ü', settings=settings, clock=clock):
        pass
    with Case.open(path, clock=clock) as case:
        assert case.title == 'Quote " and ü'
        assert case.settings == settings
        assert not case.synthetic


def test_create_refuses_an_existing_case(case):
    with pytest.raises(UsageError, match="already exists"):
        Case.create(case.path)


def test_open_without_a_case_says_how_to_make_one(tmp_path):
    with pytest.raises(UsageError) as caught:
        Case.open(tmp_path / "nothing")
    assert "irkit new" in caught.value.hint


def test_database_is_locked_down(case):
    secret = case.path / "outside.csv"
    secret.write_text("a\n1\n")
    with pytest.raises(duckdb.PermissionException):
        case.con.execute("SELECT * FROM read_csv(?)", [str(secret)])
    with pytest.raises(duckdb.InvalidInputException):
        case.con.execute("SET enable_external_access=true")
    with pytest.raises(duckdb.Error):
        case.con.execute("INSTALL httpfs")


def test_second_process_gets_a_plain_busy_message(case):
    script = (
        "import sys; from pathlib import Path; from irkit.case import Case\n"
        "from irkit.errors import IrkitError\n"
        "try: Case.open(Path(sys.argv[1]), write=True)\n"
        "except IrkitError as e: print(type(e).__name__, int(e.code), e.message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(case.path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"CaseBusy {int(ExitCode.BUSY)} ")
    assert "in use by process" in done.stdout
    assert CaseBusy.code is ExitCode.BUSY


def test_damaged_database_is_named_without_traceback_text(tmp_path, clock):
    path = tmp_path / "a.irkit"
    Case.create(path, clock=clock).close()
    (path / "case.duckdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(StorageError) as caught:
        Case.open(path)
    assert "cannot be opened" in caught.value.message


def test_newer_schema_is_refused(tmp_path, clock):
    path = tmp_path / "a.irkit"
    with Case.create(path, clock=clock) as case:
        newer = MIGRATIONS[-1].version + 1
        case.con.execute("INSERT INTO schema_migration VALUES (?, 'future', NULL)", [newer])
    with pytest.raises(StorageError, match="newer irkit"):
        Case.open(path, write=True)


def test_transaction_rolls_back_everything(case):
    with pytest.raises(RuntimeError), case.transaction():
        case.append("text", pl.DataFrame({"text_id": ["x"], "body": ["y"]}))
        case.mark_stage(Stage.INGEST, "x", "h")
        raise RuntimeError
    assert case.rows("SELECT count(*) FROM text") == [(0,)]
    assert not case.stage_done(Stage.INGEST, "x", "h")


def test_stage_is_done_only_for_the_same_inputs(case):
    case.mark_stage(Stage.MATCH, "all", "one", {"n": 1})
    assert case.stage_done(Stage.MATCH, "all", "one")
    assert not case.stage_done(Stage.MATCH, "all", "two")


def test_append_by_name_leaves_missing_columns_null(case):
    case.append("session", pl.DataFrame({"queries": [3], "kind": ["logged"], "session_key": ["s"]}))
    assert case.rows("SELECT session_key, client_ip, queries FROM session") == [("s", None, 3)]


@pytest.mark.parametrize("name", ["text; DROP TABLE text", 'a"b', ""])
def test_table_names_are_never_free_text(case, name):
    with pytest.raises(ValueError, match="not a table name"):
        case.append(name, pl.DataFrame({"a": [1]}))


def test_unknown_and_ill_typed_settings_are_refused(tmp_path):
    path = tmp_path / "case.toml"
    path.write_text("[settings]\nnope = 1\n")
    with pytest.raises(UsageError, match="unknown setting 'nope'"):
        Settings.from_toml(path)
    path.write_text('[settings]\nfpr = "high"\n')
    with pytest.raises(UsageError, match="must be of type float"):
        Settings.from_toml(path)
    with pytest.raises(UsageError, match="between 0 and 1"):
        Settings(fpr=2.0)


def test_settings_digest_ignores_the_machine_but_not_the_method():
    assert Settings(threads=1).digest() == Settings(threads=64, memory_limit_mb=4096).digest()
    assert Settings(fpr=0.01).digest() != Settings().digest()


def test_writer_note_is_removed_on_close(tmp_path, clock):
    path = tmp_path / "a.irkit"
    with Case.create(path, clock=clock):
        note = json.loads((path / "writer.json").read_text())
        assert note["pid"] > 0
    assert not (path / "writer.json").exists()


def test_full_disk_is_named_and_the_case_still_opens(case, monkeypatch, clock):
    path = case.path
    case.close()

    class Full:
        free = 0

    with (
        pytest.raises(StorageError, match="disk is full") as caught,
        monkeypatch.context() as patch,
        Case.open(path, write=True, clock=clock),
    ):
        patch.setattr("irkit.case.store.shutil.disk_usage", lambda _path: Full)
        raise duckdb.TransactionException("failed to commit")
    assert "finished work is kept" in caught.value.hint
    with Case.open(path, write=True, clock=clock) as again:
        assert again.title == "Test case"


def test_other_database_errors_keep_their_own_name(case):
    assert storage_error(case.path, duckdb.BinderException("no such column")) is None
    assert storage_error(case.path, ValueError("x")) is None
    memory = storage_error(case.path, duckdb.OutOfMemoryException("out"))
    assert memory is not None
    assert "memory limit" in memory.message


def test_a_case_opened_for_reading_logs_leaves_cores_and_memory(tmp_path, clock) -> None:
    wide = Settings(threads=3, memory_limit_mb=1024)
    Case.create(tmp_path / "s.irkit", settings=wide, clock=clock).close()
    asked = "SELECT current_setting('threads'), current_setting('memory_limit')"
    with Case.open(tmp_path / "s.irkit", write=True, clock=clock) as case:
        threads, whole = case.rows(asked)[0]
    with Case.open(tmp_path / "s.irkit", write=True, clock=clock, sharing=True) as case:
        alone, part = case.rows(asked)[0]
    assert (threads, alone) == (3, 1)
    assert float(part.split()[0]) == pytest.approx(0.75 * float(whole.split()[0]), rel=0.01)
