"""Reading corpora in every form they are handed over, and matching a case against them."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from irkit.analyzers import corpus_files
from irkit.analyzers.corpus import load_corpus, match
from irkit.case import Case
from irkit.errors import UsageError

DOCS = [
    {"doc_id": "a", "text": "First document, with ünïcode.", "subject_id": "s1", "copies": 3},
    {"doc_id": "b", "text": 'Second; "quoted"\nline.', "subject_id": None, "kind": "letter"},
]


def rows(path: Path, mapping=None) -> list[tuple]:
    found = []
    for batch in load_corpus(path, mapping).batches():
        found += zip(batch.ids, batch.texts, batch.subjects, batch.copies, batch.kinds, strict=True)
    return found


WANTED = [
    ("a", DOCS[0]["text"], "s1", 3, None),
    ("b", DOCS[1]["text"], None, None, "letter"),
]
LINES = "\n".join(json.dumps(doc) for doc in DOCS).encode()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("c.jsonl", LINES),
        ("c.ndjson", b"\xef\xbb\xbf" + LINES + b"\r\n\n"),
        ("c.json", json.dumps(DOCS).encode()),
        ("c", LINES),
        ("c.jsonl.gz", gzip.compress(LINES, mtime=0)),
        ("c.jsonl.zst", zstandard.compress(LINES)),
        ("c.jsonl.bz2", bz2.compress(LINES)),
        ("c.jsonl.xz", lzma.compress(LINES)),
        ("packed.bin", gzip.compress(LINES, mtime=0)),
    ],
)
def test_json_in_every_packing(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert rows(path) == WANTED


def test_parquet_and_csv(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    pq.write_table(pa.Table.from_pylist([{**DOCS[1], **DOCS[0]}, DOCS[1]]), path)
    found = rows(path)
    assert found[0][:4] == WANTED[0][:4]
    assert found[1] == WANTED[1]
    path = tmp_path / "c.csv"
    path.write_text(
        'doc_id;text;subject_id;copies;kind\na;"First document, with ünïcode.";s1;3;\n'
        'b;"Second; ""quoted""\nline.";;;letter\n',
        "utf-8",
    )
    assert rows(path) == WANTED


def test_plain_text_files_are_documents(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.txt").write_text("two", "utf-8")
    (tmp_path / "sub" / "a.md").write_bytes(b"bad \xff byte")
    assert [row[:2] for row in rows(tmp_path)] == [
        ("b.txt", "two"),
        ("sub/a.md", "bad \ufffd byte"),
    ]


def test_mapping_and_missing_ids(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('{"txt": "hello", "who": 7}\n{"txt": "there", "who": 8}', "utf-8")
    assert rows(path, {"text": "txt", "subject_id": "who"}) == [
        ("c.jsonl#1", "hello", "7", None, None),
        ("c.jsonl#2", "there", "8", None, None),
    ]
    (tmp_path / "m.toml").write_text('[fields]\ntext = "txt"\n')
    assert rows(path, tmp_path / "m.toml")[0][1] == "hello"
    with pytest.raises(UsageError, match="unknown fields: body"):
        load_corpus(path, {"body": "txt"})


def test_fine_tuning_sets_are_read_turn_by_turn(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    chat = {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}
    path.write_text(json.dumps(chat) + '\n{"prompt": "P", "completion": "C"}', "utf-8")
    assert [row[1] for row in rows(path)] == ["Q\nA", "P C"]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("x.pdf", b"%PDF-1.7\0\0", "not a corpus"),
        ("x.jsonl", b'{"messages": [], "response": {"choices": []}}', "no field 'text'"),
        ("x.jsonl", b'{"title": "no body"}', "no field 'text'"),
        ("x.jsonl", b"\n".join([b"[1]"] * 3), "cannot be read|not a corpus|no document"),
        ("x.jsonl", b"not json at all\nnor this", "not a corpus"),
        ("x.csv", b"a,b\n1,2", "no field 'text'"),
        ("x.parquet", b"PAR1 broken", "damaged"),
        ("x.parquet", b"nothing", "no Parquet"),
        ("x.jsonl.gz", gzip.compress(LINES, mtime=0)[:30], "damaged"),
        ("x.jsonl.zst", zstandard.compress(LINES)[:20], "damaged|no document"),
        ("x.txt", "abc".encode("utf-16"), "UTF-16"),
    ],
)
def test_wrong_files_are_refused_plainly(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UsageError, match=says) as refused:
        list(load_corpus(path).batches())
    assert refused.value.hint or refused.value.message


def test_missing_files_and_no_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_corpus(tmp_path / "nowhere.jsonl")
    with pytest.raises(UsageError, match="no corpus file"):
        load_corpus([])
    with pytest.raises(UsageError, match="holds no file"):
        load_corpus(tmp_path)


def test_hostile_lines_cost_only_themselves(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    deep = b'{"text": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    path.write_bytes(
        b'{"text": "good \\ud800 one"}\n' + deep + b'\n{"text": null}\n{broken\n{"text": "last"}'
    )
    corpus = load_corpus(path)
    texts = [text for batch in corpus.batches() for text in batch.texts]
    assert texts == ["good \ufffd one", "last"]
    assert sum(corpus.skipped.values()) == 3


# -- a case against a corpus ----------------------------------------------------------------------


def text_id(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:32]


def add_call(case: Case, record: str, prompt: str, *answers: str, duplicate: str | None = None):
    for body in (prompt, *answers):
        if not case.rows("SELECT 1 FROM text WHERE text_id = ?", [text_id(body)]):
            case.con.execute("INSERT INTO text VALUES (?, ?)", [text_id(body), body])
    case.con.execute(
        "INSERT INTO query_record BY NAME SELECT ? AS record_id, 1 AS source_id,"
        " 'x' AS source_format, 0 AS entry_no, 0 AS sub_no, ? AS prompt_text_id,"
        " 'full' AS content_state, 'call' AS record_kind, ? AS duplicate_of",
        [record, text_id(prompt), duplicate],
    )
    for choice, body in enumerate(answers):
        case.con.execute(
            "INSERT INTO query_choice VALUES (?, 1, ?, ?, 'stop')", [record, choice, text_id(body)]
        )


def corpus_file(tmp_path: Path, docs: list[dict]) -> Path:
    path = tmp_path / "corpus.jsonl"
    path.write_text("\n".join(json.dumps(doc) for doc in docs), "utf-8")
    return path


def words(start: int, end: int) -> str:
    return " ".join(f"word{i}" for i in range(start, end))


def found(case: Case, what: str = "role, doc_id, tokens, df, is_tail, whole_doc") -> list[tuple]:
    return case.rows(f"SELECT {what} FROM corpus_match ORDER BY ALL")


def test_every_choice_and_the_prompt_are_matched(case: Case, tmp_path: Path) -> None:
    path = corpus_file(tmp_path, [{"doc_id": "d", "text": words(0, 200), "subject_id": "s"}])
    add_call(case, "r1", f"go on: {words(10, 20)}", "nothing", f"well {words(20, 80)} so")
    add_call(case, "r2", "hi", words(0, 60), duplicate="r1")
    report = match(case, load_corpus(path))
    assert found(case) == [
        ("prompt", "d", 10, 1, True, False),
        ("response", "d", 60, 1, False, False),
    ]
    assert (report.docs, report.matches) == (1, 2)
    assert case.rows("SELECT doc_id, subject_id, chars FROM corpus_doc") == [
        ("d", "s", len(words(0, 200)))
    ]


def test_common_text_keeps_few_rows_and_its_count(case: Case, tmp_path: Path) -> None:
    docs = [{"doc_id": f"d{i}", "text": f"own{i} {words(0, 40)} end{i}"} for i in range(30)]
    docs.append({"doc_id": "long", "text": f"start {words(0, 60)}"})
    add_call(case, "r", "hi", f"start {words(0, 60)} x")
    match(case, load_corpus(corpus_file(tmp_path, docs)))
    counted = case.rows(
        "SELECT tokens, df, count(*) FROM corpus_match GROUP BY ALL ORDER BY tokens"
    )
    assert counted == [(40, 31, 5), (61, 1, 1)]


def test_duplicate_ids_are_told_apart(case: Case, tmp_path: Path) -> None:
    docs = [{"doc_id": "d", "text": words(0, 50)}, {"doc_id": "d", "text": words(50, 100)}]
    add_call(case, "r", "hi", words(55, 95))
    report = match(case, load_corpus(corpus_file(tmp_path, docs)))
    assert report.duplicate_ids == 1
    assert found(case, "doc_id") == [("d#2",)]


def test_a_second_run_changes_nothing_and_a_new_corpus_replaces_all(
    case: Case, tmp_path: Path
) -> None:
    path = corpus_file(tmp_path, [{"doc_id": "d", "text": words(0, 100)}])
    add_call(case, "r", "hi", words(0, 50))
    first = match(case, load_corpus(path))
    assert match(case, load_corpus(path)) == first
    assert len(found(case)) == 1
    path.write_text(json.dumps({"doc_id": "e", "text": words(10, 100)}))
    match(case, load_corpus(path))
    assert found(case, "doc_id, tokens") == [("e", 40)]


def test_emptied_tables_are_filled_again(case: Case, tmp_path: Path) -> None:
    path = corpus_file(tmp_path, [{"doc_id": "d", "text": words(0, 100)}])
    add_call(case, "r", "hi", words(0, 50))
    first = match(case, load_corpus(path))
    case.clear("corpus_doc", "corpus_match")
    assert match(case, load_corpus(path)) == first
    assert found(case, "doc_id") == [("d",)]


def test_a_document_larger_than_a_part_is_matched_across_the_cut(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_files, "PART_CHARS", 2000)
    monkeypatch.setattr(corpus_files, "PART_OVERLAP", 600)
    body = words(0, 2000)
    add_call(case, "r", "hi", f"x {words(150, 420)} y", f"z {words(1000, 1030)} z")
    path = corpus_file(tmp_path, [{"doc_id": "d", "text": body}, {"doc_id": "e", "text": "short"}])
    match(case, load_corpus(path))
    got = case.rows("SELECT d_start, d_end FROM corpus_match ORDER BY d_start")
    assert [body[s:e] for s, e in got] == [words(150, 420), words(1000, 1030)]
    digest = hashlib.sha256(body.encode()).hexdigest()
    assert case.rows("SELECT ordinal, doc_id, sha256 FROM corpus_doc ORDER BY 1")[0] == (
        0,
        "d",
        digest,
    )


def test_threads_and_groups_do_not_change_the_rows(
    tmp_path: Path, clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    import irkit.analyzers.corpus as room
    from irkit.case import Settings

    docs = [{"doc_id": f"d{i}", "text": words(i * 7, i * 7 + 90)} for i in range(50)]
    path = corpus_file(tmp_path, docs)
    results = []
    for threads, group in ((1, 1 << 30), (3, 500)):
        monkeypatch.setattr(room, "GROUP_BYTES", group)
        monkeypatch.setattr(corpus_files, "BATCH_DOCS", 4 * threads)
        settings = Settings(threads=threads)
        with Case.create(tmp_path / f"c{threads}", settings=settings, clock=clock) as case:
            for i in range(20):
                add_call(case, f"r{i}", "hi", f"{words(i * 11, i * 11 + 70)} end")
            match(case, load_corpus(path))
            results.append(case.rows("SELECT * FROM corpus_match"))
    assert sorted(results[0]) == sorted(results[1])
    assert len(results[0]) > 20


def test_an_empty_case_still_lists_the_corpus(case: Case, tmp_path: Path) -> None:
    report = match(case, load_corpus(corpus_file(tmp_path, DOCS)))
    assert (report.docs, report.matches) == (2, 0)


# -- third-party data -----------------------------------------------------------------------------


def test_the_extraction_benchmark_is_recalled(case: Case, dev_data: Path, tmp_path: Path) -> None:
    source = dev_data / "lm_extraction_benchmark" / "val_decoded.dev.jsonl"
    if not source.is_file():
        pytest.skip("lm_extraction_benchmark is not there")
    pairs = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    docs = [
        {"doc_id": str(i), "text": p["preprefix"] + p["prefix"] + p["suffix"]}
        for i, p in enumerate(pairs)
    ]
    certain = set()
    for i, pair in enumerate(pairs):
        add_call(
            case, f"r{i}", pair["preprefix"][-300:] + pair["prefix"], f"Sure! {pair['suffix']}"
        )
        # The words at both ends may continue across the cut.
        if len(re.findall(r"\w+|[^\w\s]", pair["suffix"])) >= 27:
            certain.add(str(i))
    match(case, load_corpus(corpus_file(tmp_path, docs)))
    hits = case.rows("SELECT DISTINCT doc_id FROM corpus_match WHERE role = 'response'")
    assert len(certain) > 200
    assert certain <= {doc for (doc,) in hits}
    tails = case.rows("SELECT count(DISTINCT doc_id) FROM corpus_match WHERE role = 'prompt'")
    assert tails[0][0] > 0.95 * len(pairs)


def test_ordinary_overlap_is_no_leak(case: Case, dev_data: Path, tmp_path: Path) -> None:
    """Held-out documents share short phrases with others of their kind, not whole passages."""
    source = dev_data / "mimir_ngram" / "wikipedia_(en).jsonl.gz"
    if not source.is_file():
        pytest.skip("mimir_ngram is not there")
    with gzip.open(source, "rt", encoding="utf-8") as stream:
        entries = [json.loads(line) for line in stream]
    field = next(k for k, v in entries[0].items() if isinstance(v, str) and len(v) > 100)
    texts = [entry[field] for entry in entries]
    docs = [{"doc_id": str(i), "text": text} for i, text in enumerate(texts[: len(texts) // 2])]
    for i, text in enumerate(texts[len(texts) // 2 :][:300]):
        add_call(case, f"r{i}", "hi", text)
    match(case, load_corpus(corpus_file(tmp_path, docs)))
    share = case.rows(
        "SELECT count(DISTINCT text_id) FROM corpus_match WHERE role = 'response' AND tokens >= 50"
        " AND df <= 10"
    )[0][0]
    assert share <= 6
