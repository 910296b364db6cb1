"""Let the NER model read what is new in the responses that matter, batch by batch.

Each batch is committed with its own progress row, so that a run that was stopped goes on where it
was, and a run with another register does not read again.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import polars as pl

from irkit.analyzers import pii_rampart
from irkit.analyzers.pii import MODEL, Piece, Recogniser, describe_model, engine, pieces
from irkit.analyzers.pii_language import guess, uncovered
from irkit.model import Progress, Provenance, Stage
from irkit.scope.values import names_in_context, with_key

if TYPE_CHECKING:
    from irkit.case import Case

#: Texts per batch.
_TEXTS = 256
#: Characters under which what is left of a stretch is not read.
_LEFTOVER = 20


def without_ordinary(novel: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Leave out passages of documents about nobody, where the corpus says whom documents concern.

    Ordinary text that a model reproduces is most of what matches; names in it are those of public
    places and products.

    Args:
        novel: of :func:`irkit.scope.passages.novel_spans`.
        found: of :func:`irkit.scope.passages.passages_of`.
    """
    memorised = found.filter(pl.col("provenance") == Provenance.MEMORISED.value)
    about = memorised.filter(pl.col("subject_id").is_not_null() & ~pl.col("common"))
    pair = ["record_id", "choice"]
    ordinary = memorised.filter(pl.col("subject_id").is_null()).join(about, on=pair, how="anti")
    if not len(ordinary):
        return novel
    cuts = ordinary.group_by(pair).agg(
        pl.struct(start="response_start", end="response_end").alias("cuts")
    )
    touched = novel.join(cuts, on=pair, how="inner", maintain_order="left")
    rest = novel.join(cuts, on=pair, how="anti", maintain_order="left")
    rows: list[tuple[object, ...]] = []
    for record, choice, text_id, start, end, gone in touched.iter_rows():
        at = start
        for cut in sorted(gone, key=lambda c: (c["start"], c["end"])):
            if cut["start"] - at >= _LEFTOVER:
                rows.append((record, choice, text_id, at, min(cut["start"], end)))
            at = max(at, cut["end"])
        if end - at >= _LEFTOVER:
            rows.append((record, choice, text_id, at, end))
    left = pl.DataFrame(rows, novel.schema, orient="row").filter(pl.col("start") < pl.col("end"))
    return pl.concat([rest, left]).sort("record_id", "choice", "start")


def read_names(
    case: Case,
    novel: pl.DataFrame,
    values: pl.DataFrame,
    progress: Callable[[Progress], None] | None,
) -> tuple[pl.DataFrame, int]:
    """Find entities in the new stretches of responses.

    Args:
        case: the case; must not be inside a transaction.
        novel: stretches to read, of :func:`irkit.scope.passages.novel_spans`.
        values: identifiers that the pattern tier found; what they cover is left out.
        progress: told after each batch.

    Returns:
        Entities per response with the columns of ``values``, and the number of texts read.
    """
    columns = [name for name in values.columns if not name.startswith("in_")]
    case.set_meta("languages_not_covered", "{}")
    spans = novel.select("text_id", "start", "end").unique().sort("text_id", "start", "end")
    if not len(spans):
        return values.head(0).select(columns), 0
    texts = spans.group_by("text_id", maintain_order=True).agg("start", "end")
    engines, _ = engine(case.settings.ner)
    models = {"ner": describe_model(MODEL)}
    if engines != "spacy":
        models["rampart"] = pii_rampart.describe()
    case.set_meta("models", json.dumps(models, sort_keys=True))
    digest = engines + "".join(model["sha256"] for model in models.values())
    found: list[pl.DataFrame] = []
    kept: list[str] = []
    languages: Counter[str] = Counter()
    for at in range(0, len(texts), _TEXTS):
        todo = list(_pieces(case, texts.slice(at, _TEXTS)))
        first = {piece.text_id: piece.text for piece in reversed(todo)}
        guesses = [guess(text) for text in first.values()]
        languages.update(name for name in guesses if name and uncovered(name, engines))
        key = _key(todo, digest)
        kept.append(key)
        found.append(_read(case, todo, key, engines))
        if progress is not None:
            progress(Progress(Stage.PII, min(at + _TEXTS, len(texts)), len(texts), "texts"))
    _forget_others(case, kept)
    case.set_meta("languages_not_covered", json.dumps(dict(sorted(languages.items()))))
    calls = novel.select("record_id", "choice", "text_id").unique(maintain_order=True)
    rows = calls.join(with_key(pl.concat(found)), on="text_id")
    rows = _uncovered(rows, values).sort("record_id", "choice", "e_start", "e_end", "entity_type")
    own = names_in_context(case, rows.select("record_id", "canonical"))
    rows = rows.with_columns(echo=own["own"].fill_null(False))
    return rows.select(columns), len(texts)


def _pieces(case: Case, texts: pl.DataFrame) -> Iterator[Piece]:
    with case.con.cursor() as cursor:
        cursor.register("wanted", texts.select("text_id").to_arrow())
        cursor.execute(
            "SELECT text_id, body FROM text WHERE text_id IN (SELECT text_id FROM wanted)"
        )
        bodies = dict(cursor.fetchall())
    for text_id, starts, ends in texts.iter_rows():
        # Neighbouring stretches are read together: a mask must not cut a sentence in two.
        yield from pieces(text_id, bodies[text_id], _joined(starts, ends))


def _joined(starts: list[int], ends: list[int]) -> list[tuple[int, int]]:
    """Join spans that overlap or lie close together."""
    out: list[tuple[int, int]] = []
    for start, end in zip(starts, ends, strict=True):
        if out and start <= out[-1][1] + 2:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out


def _key(todo: list[Piece], model: str) -> str:
    digest = hashlib.sha256(f"{model} 2\n".encode())
    for piece in todo:
        digest.update(f"{piece.text_id} {piece.start} {len(piece.text)}\n".encode())
    return digest.hexdigest()[:32]


def _read(case: Case, todo: list[Piece], key: str, engines: str) -> pl.DataFrame:
    """Entities of one batch: as stored by an earlier run, or read now and stored."""
    if not case.stage_done(Stage.PII, key, key):
        rows = Recogniser(MODEL, engines, case.settings.worker_threads).find(todo)
        with case.transaction():
            case.con.execute("DELETE FROM text_entity WHERE batch = ?", [key])
            stored = rows.drop("canonical").with_columns(batch=pl.lit(key))
            case.append("text_entity", stored)
            case.mark_stage(Stage.PII, key, key)
    rows = case.frame(
        "SELECT text_id, e_start::BIGINT AS e_start, e_end::BIGINT AS e_end, entity_type,"
        " recogniser, score FROM text_entity WHERE batch = ?"
        " ORDER BY text_id, e_start, e_end, entity_type, recogniser",
        [key],
    )
    # Values are not stored a second time; they are cut from the texts again.
    by_text: dict[str, list[Piece]] = {}
    for piece in todo:
        by_text.setdefault(piece.text_id, []).append(piece)
    said = []
    for text_id, start, end in rows.select("text_id", "e_start", "e_end").iter_rows():
        piece = next(
            p for p in by_text[text_id] if p.start <= start and end <= p.start + len(p.text)
        )
        value = piece.text[start - piece.start : end - piece.start]
        said.append(" ".join(value.casefold().split()))
    return rows.with_columns(canonical=pl.Series(said, dtype=pl.String))


def _forget_others(case: Case, kept: list[str]) -> None:
    """Drop batches of earlier runs that this one did not use."""
    with case.transaction():
        case.con.execute("DELETE FROM text_entity WHERE batch NOT IN (SELECT unnest(?))", [kept])
        case.con.execute(
            "DELETE FROM stage_progress WHERE stage = ? AND item NOT IN (SELECT unnest(?))",
            [Stage.PII.value, kept],
        )


def _uncovered(rows: pl.DataFrame, values: pl.DataFrame) -> pl.DataFrame:
    """Drop what an identifier of the pattern tier covers already."""
    rows = rows.with_row_index("row")
    both = rows.select("row", "record_id", "choice", "e_start", "e_end").join(
        values.select("record_id", "choice", start="e_start", end="e_end"),
        on=["record_id", "choice"],
    )
    covered = both.filter((pl.col("e_start") < pl.col("end")) & (pl.col("start") < pl.col("e_end")))
    return rows.join(covered.select("row").unique(), on="row", how="anti").drop("row")
