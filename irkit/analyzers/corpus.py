"""Match everything the case's model said, and was asked, against the training corpus.

:func:`load_corpus` opens the corpus, :func:`match` streams it once past the indexed texts of the
case and stores every verified maximal run.  The engine and its guarantees are described in
:mod:`irkit.analyzers.corpus_engine`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from irkit.analyzers.corpus_engine import scan
from irkit.analyzers.corpus_files import Batch, Corpus, load_corpus
from irkit.analyzers.corpus_index import Block, TextSet
from irkit.analyzers.corpus_near import SPAN, NearSet, scan_near
from irkit.analyzers.corpus_rows import Gatherer
from irkit.engine.local import ordered_map
from irkit.model import Progress, Stage

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from irkit.case import Case

__all__ = ["Corpus", "MatchReport", "load_corpus", "match", "text_set"]

#: Bytes of text indexed at once; a larger case streams the corpus several times.
GROUP_BYTES = 96 << 20


@dataclass(frozen=True, slots=True)
class MatchReport:
    """What a matching run saw and found.

    Attributes:
        docs: documents of the corpus.
        texts: unique texts looked for.
        matches: rows written to ``corpus_match``.
        matched_responses: unique responses with at least one run.
        matched_prompts: unique prompts with at least one run.
        duplicate_ids: documents whose id had been given before (stored as ``id#2`` and so on).
        skipped: corpus entries without readable text, by reason.
        corpus_sha256: fingerprint of the corpus.
    """

    docs: int
    texts: int
    matches: int
    matched_responses: int
    matched_prompts: int
    duplicate_ids: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    corpus_sha256: str = ""


def match(
    case: Case, corpus: Corpus, *, progress: Callable[[Progress], None] | None = None
) -> MatchReport:
    """Fill ``corpus_doc`` and ``corpus_match`` for all unique responses and prompts.

    Guarantees: in responses and prompts every run of 25 tokens or more that is shared with a
    document; in prompts also runs of 8 tokens or more that end the prompt; short documents (8
    tokens or more) that lie whole in a text, and prompts of 3 to 7 tokens that equal a document.
    Runs that only repeat a pattern of up to four tokens are left out.  In responses also edited
    passages, as :mod:`irkit.analyzers.corpus_near` bounds them (``method`` near).

    One row stands for one text, document and maximal run.  ``df`` counts the documents that share
    the run; above 10 only the first few of them have rows.

    Raises:
        UsageError: the corpus cannot be read.
    """
    inputs = hashlib.sha256(
        f"{corpus.fingerprint()} {_texts_digest(case)} {case.settings.digest()} 2".encode()
    ).hexdigest()
    if case.stage_done(Stage.MATCH, "corpus", inputs):
        stored = _stored_report(case)
        # The tables may have been emptied since, by a run without a corpus.
        if _count(case, "SELECT count(*) FROM corpus_doc") == stored.docs:
            return stored
    with case.transaction():
        case.clear("corpus_doc", "corpus_match")
        gathered: list[pl.DataFrame] = []
        texts = 0
        for number, group in enumerate(_groups(case)):
            found = _stream(case, corpus, group, store_docs=number == 0, progress=progress)
            gathered.append(found)
            texts += len(group.ids)
        if not gathered:
            _stream(case, corpus, None, store_docs=True, progress=progress)
        duplicates = _name_duplicates(case)
        matches = _store(case, gathered)
        report = MatchReport(
            docs=_count(case, "SELECT count(*) FROM corpus_doc"),
            texts=texts,
            matches=matches,
            matched_responses=_matched(case, "response"),
            matched_prompts=_matched(case, "prompt"),
            duplicate_ids=duplicates,
            skipped=dict(sorted(corpus.skipped.items())),
            corpus_sha256=corpus.fingerprint(),
        )
        detail = {name: getattr(report, name) for name in MatchReport.__slots__}
        case.mark_stage(Stage.MATCH, "corpus", inputs, detail)
    return report


def _stored_report(case: Case) -> MatchReport:
    found = case.rows(
        "SELECT detail FROM stage_progress WHERE stage = ? AND item = 'corpus'", [Stage.MATCH.value]
    )
    return MatchReport(**json.loads(found[0][0]))


def _count(case: Case, sql: str, *params: str) -> int:
    return int(case.rows(sql, params)[0][0])


def _matched(case: Case, role: str) -> int:
    return _count(case, "SELECT count(DISTINCT text_id) FROM corpus_match WHERE role = ?", role)


# -- texts --------------------------------------------------------------------------------------

#: Unique texts of the case in the roles in which they are looked for.
_ROLES = """
SELECT text_id, bool_or(prompt) AS prompt, bool_or(response) AS response FROM (
  SELECT c.text_id, false AS prompt, true AS response
  FROM query_choice c JOIN query_record r USING (record_id) WHERE r.duplicate_of IS NULL
  UNION ALL
  SELECT prompt_text_id, true, false FROM query_record
  WHERE prompt_text_id IS NOT NULL AND duplicate_of IS NULL)
GROUP BY text_id
"""


@dataclass(frozen=True, slots=True)
class Group:
    """Texts that are indexed together."""

    ids: list[str]
    texts: TextSet


def _texts_digest(case: Case) -> str:
    digest = hashlib.sha256()
    cursor = case.con.cursor()
    cursor.execute(f"SELECT text_id, prompt, response FROM ({_ROLES}) ORDER BY text_id")
    while rows := cursor.fetchmany(50_000):
        for text_id, prompt, response in rows:
            digest.update(f"{text_id}{prompt:d}{response:d}\n".encode())
    return digest.hexdigest()


def _groups(case: Case) -> Iterator[Group]:
    cursor = case.con.cursor()
    cursor.execute(
        f"SELECT text_id, body, prompt, response FROM text JOIN ({_ROLES}) USING (text_id)"
        " ORDER BY text_id"
    )
    reader = cursor.to_arrow_reader(20_000)
    ids: list[str] = []
    pieces: list[bytes] = []
    sizes: list[int] = []
    roles: list[tuple[bool, bool]] = []
    for part in reader:
        columns = [part.column(i).to_pylist() for i in range(4)]
        for text_id, body, prompt, response in zip(*columns, strict=True):
            ids.append(text_id)
            pieces.append(body.encode())
            sizes.append(len(pieces[-1]))
            roles.append((prompt, response))
        if sum(sizes) >= GROUP_BYTES:
            yield Group(ids, text_set(pieces, roles))
            ids, pieces, sizes, roles = [], [], [], []
    if ids:
        yield Group(ids, text_set(pieces, roles))


def text_set(pieces: list[bytes], roles: list[tuple[bool, bool]]) -> TextSet:
    """Index texts given as UTF-8, each with (is a prompt, is a response)."""
    breaks = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    flags = np.array(roles, np.bool_).reshape(-1, 2)
    return TextSet(b"".join(pieces), breaks, flags[:, 0].copy(), flags[:, 1].copy())


# -- corpus -------------------------------------------------------------------------------------


def block_of(batch: Batch) -> Block:
    """Lay a batch of documents out as one piece of memory."""
    joined = "".join(batch.texts)
    if joined.isascii():
        sizes = [len(text) for text in batch.texts]
        raw = joined.encode()
    else:
        pieces = [text.encode() for text in batch.texts]
        sizes = [len(piece) for piece in pieces]
        raw = b"".join(pieces)
    breaks = np.cumsum([0, *sizes], dtype=np.int64)
    if batch.part is None:
        return Block(raw, breaks, batch.first)
    return Block(raw, breaks, batch.first, True, batch.part[0])


def _stream(
    case: Case,
    corpus: Corpus,
    group: Group | None,
    *,
    store_docs: bool,
    progress: Callable[[Progress], None] | None,
) -> pl.DataFrame:
    """Run the whole corpus past one group of texts; results do not depend on the threads."""
    import polars as pl

    total = corpus.bytes

    def seen(done: int) -> None:
        if progress is not None:
            progress(Progress(Stage.MATCH, done, total, "bytes"))

    runs, edited = Gatherer(), Gatherer()
    near = NearSet(group.texts) if group is not None else None

    docs = _Documents(case) if store_docs else None

    def batches() -> Iterator[Batch]:
        for batch in corpus.batches(seen):
            if docs is not None:
                docs.add(batch)
            yield batch

    if near is None:
        for _ in batches():
            pass
    else:
        threads = case.settings.worker_threads
        for run, edit in ordered_map(partial(_scan_batch, near), batches(), threads):
            runs.add(run)
            edited.add(edit)
    if docs is not None:
        docs.flush()
    found = _with_edited(runs.finish(), edited.finish())
    if group is None or not len(found):
        return found.with_columns(text_id=pl.lit("").alias("text_id")).head(0)
    names = pl.DataFrame({"text": np.arange(len(group.ids)), "text_id": group.ids})
    return found.join(names, on="text", how="left", maintain_order="left")


def _with_edited(exact: pl.DataFrame, near: pl.DataFrame) -> pl.DataFrame:
    """Add near-verbatim passages, but for those that hold a full verbatim one already."""
    import polars as pl

    exact = exact.with_columns(method=pl.lit("exact"))
    near = near.with_columns(method=pl.lit("near")).with_row_index("row")
    full = exact.filter(pl.col("tokens") >= SPAN).select("text", "doc", s="t_start", e="t_end")
    both = near.select("row", "text", "doc", "t_start", "t_end").join(full, on=["text", "doc"])
    told = both.filter((pl.col("s") < pl.col("t_end")) & (pl.col("t_start") < pl.col("e")))
    near = near.join(told.select("row").unique(), on="row", how="anti").drop("row")
    return pl.concat([exact, near])


def _scan_batch(near: NearSet, batch: Batch) -> tuple[pa.Table, pa.Table]:
    import pyarrow as pa

    block = block_of(batch)
    tables = (scan(near.texts, block), scan_near(near, block))
    part = batch.part is not None
    exact, edited = (
        table.append_column("part", pa.array(np.full(table.num_rows, part))) for table in tables
    )
    return exact, edited


class _Documents:
    """Writes ``corpus_doc`` rows batch by batch."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._rows: list[tuple[object, ...]] = []
        self._digest = hashlib.sha256()
        self._ascii = False

    def add(self, batch: Batch) -> None:
        if batch.part is not None:
            self._add_part(batch, *batch.part)
        else:
            for number, text in enumerate(batch.texts):
                digest = hashlib.sha256(text.encode()).hexdigest()
                self._add(batch, number, len(text), digest)
        if len(self._rows) >= 100_000:
            self.flush()

    def _add_part(self, batch: Batch, base: int, last: bool) -> None:
        """Hash the parts of one document without their overlaps."""
        if base == 0:
            self._digest, self._done = hashlib.sha256(), 0
        text = batch.texts[0]
        self._digest.update(text[self._done - base :].encode())
        self._done = base + len(text)
        if last:
            self._add(batch, 0, self._done, self._digest.hexdigest())

    def _add(self, batch: Batch, number: int, chars: int, digest: str) -> None:
        self._rows.append(
            (
                batch.first + number,
                batch.ids[number],
                batch.subjects[number],
                batch.copies[number],
                batch.kinds[number],
                chars,
                digest,
                batch.sources[number],
            )
        )

    def flush(self) -> None:
        import polars as pl

        schema = {
            "ordinal": pl.Int64,
            "doc_id": pl.String,
            "subject_id": pl.String,
            "copies": pl.Int32,
            "kind": pl.String,
            "chars": pl.Int64,
            "sha256": pl.String,
            "source": pl.String,
        }
        if self._rows:
            self._case.append("corpus_doc", pl.DataFrame(self._rows, schema, orient="row"))
            self._rows = []


# -- storing ------------------------------------------------------------------------------------


def _name_duplicates(case: Case) -> int:
    """Tell documents with one id apart: the second becomes ``id#2``; return how many there were."""
    duplicates = _count(case, "SELECT count(*) - count(DISTINCT doc_id) FROM corpus_doc")
    if duplicates:
        case.con.execute(
            "UPDATE corpus_doc SET doc_id = n.doc_id || '#' || n.rank FROM ("
            " SELECT ordinal, doc_id, row_number() OVER (PARTITION BY doc_id ORDER BY ordinal)"
            " AS rank FROM corpus_doc) n"
            " WHERE n.ordinal = corpus_doc.ordinal AND n.rank > 1"
        )
    return duplicates


def _store(case: Case, gathered: list[pl.DataFrame]) -> int:
    import polars as pl

    found = pl.concat(gathered) if gathered else pl.DataFrame()
    if not len(found):
        return 0
    case.con.register("match_rows", found.to_arrow())
    try:
        case.con.execute(
            "INSERT INTO corpus_match SELECT text_id, role, t_start, t_end, tokens, doc_id,"
            " d_start, d_end, df, is_tail, whole_doc, method FROM ("
            " SELECT *, 'response' AS role FROM match_rows WHERE response UNION ALL"
            " SELECT *, 'prompt' AS role FROM match_rows WHERE prompt) m"
            " JOIN corpus_doc d ON d.ordinal = m.doc"
            " ORDER BY text_id, role, t_start, t_end, d.ordinal, d_start, method"
        )
    finally:
        case.con.unregister("match_rows")
    return _count(case, "SELECT count(*) FROM corpus_match")
