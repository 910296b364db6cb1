"""Build the exposure rows: verbatim passages, and identifiers that came out on their own.

An identifier outside every passage is a ``typed`` exposure: memorised where a corpus document holds
it (in at most ten documents of different owners), ``cue_derivable`` where the prompt's words spell
it, ``unverified`` where no document given holds it.  A canary is memorised with or without one.
Where several identifiers of one person come out together in one response the level is ``record``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from irkit.analyzers.corpus_rows import COMMON_DF
from irkit.analyzers.pii_patterns import IDENTIFIERS
from irkit.case.mask import mask, mask_text, value_hash
from irkit.model import LeakLevel, Provenance
from irkit.scope.categories import categories, entity_categories
from irkit.scope.decoded import Undressed
from irkit.scope.lookup import Looked
from irkit.scope.subjects import is_role_address
from irkit.scope.values import CANARY, IDENTIFIER

if TYPE_CHECKING:
    from irkit.case import Case

#: Score from which an identifier that no document holds is worth an exposure.
SURE = 0.7
#: Different owners of a value that get an exposure each.
_OWNERS = 3

EXPOSURE_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "exposure_id": pl.String, "record_id": pl.String, "choice": pl.Int32,
    "provenance": pl.String, "level": pl.String, "doc_id": pl.String, "doc_start": pl.Int64,
    "doc_end": pl.Int64, "response_start": pl.Int64, "response_end": pl.Int64,
    "matched_chars": pl.Int64, "subtracted_chars": pl.Int64, "leaked_chars": pl.Int64,
    "df": pl.Int32, "entity_types": pl.List(pl.String), "categories": pl.List(pl.String),
    "method": pl.String, "value_masked": pl.String, "value_hash": pl.String,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Document:
    """What is known of a corpus document."""

    doc_id: str
    subject_id: str | None
    owner: str
    kind: str | None


def exposure_id(*parts: object) -> str:
    """Stable id of an exposure, so that a reviewer's verdict survives another run."""
    text = "\x1f".join(map(str, parts))
    return "E" + hashlib.sha256(text.encode()).hexdigest()[:15]


def inside_passages(values: pl.DataFrame, passages: pl.DataFrame) -> pl.DataFrame:
    """Tell for each value whether a memorised passage, or an echoed one, covers it whole.

    A value that only begins or ends in a passage was put together by the model and is looked up by
    itself.

    Args:
        values: record_id, choice, e_start, e_end and more.
        passages: of :func:`irkit.scope.passages.passages_of`.

    Returns:
        The same rows in the same order with ``in_memorised`` and ``in_echo``.
    """
    rows = values.with_row_index("row")
    spans = passages.select(
        "record_id", "choice", "provenance", start="response_start", end="response_end"
    ).unique()
    both = rows.select("row", "record_id", "choice", "e_start", "e_end").join(
        spans, on=["record_id", "choice"]
    )
    both = both.filter((pl.col("start") <= pl.col("e_start")) & (pl.col("e_end") <= pl.col("end")))
    flags = both.group_by("row").agg(
        in_memorised=(pl.col("provenance") == Provenance.MEMORISED.value).any(),
        in_echo=(pl.col("provenance") == Provenance.ECHO.value).any(),
    )
    return (
        rows.join(flags, on="row", how="left", maintain_order="left")
        .with_columns(pl.col("in_memorised", "in_echo").fill_null(False))
        .drop("row")
    )


def passage_exposures(
    case: Case,
    passages: pl.DataFrame,
    entities: pl.DataFrame,
    says: dict[tuple[str, int, int, int], Undressed],
    pepper: bytes,
) -> pl.DataFrame:
    """Make exposure rows of passages.

    Args:
        case: the case, for the responses' texts.
        passages: of :func:`irkit.scope.passages.passages_of`.
        entities: record_id, choice, e_start, e_end, entity_type.
        says: what encoded passages say (of :func:`irkit.scope.decoded.decoded_passages`).
        pepper: key of the value hashes.

    Returns:
        Rows of :data:`EXPOSURE_SCHEMA` with ``owner``, ``subject_id``, ``common`` and
        ``dominated`` added, in the order of the passages.
    """
    if not len(passages):
        return pl.DataFrame(schema=EXPOSURE_SCHEMA | _EXTRA)
    rows = passages.with_row_index("row")
    spans = rows.select(
        "row", "record_id", "choice", start="response_start", end="response_end"
    ).join(entities, on=["record_id", "choice"])
    spans = spans.filter((pl.col("e_start") < pl.col("end")) & (pl.col("start") < pl.col("e_end")))
    kinds = spans.group_by("row").agg(entity_types=pl.col("entity_type").unique().sort())
    rows = rows.join(kinds, on="row", how="left", maintain_order="left")
    bodies = case.frame(
        "SELECT text_id, body FROM text WHERE text_id IN (SELECT unnest(?))",
        [passages["text_id"].unique().to_list()],
    )
    texts = dict(bodies.iter_rows())
    made: list[dict[str, object]] = []
    for row in rows.iter_rows(named=True):
        text = texts[row["text_id"]][row["response_start"] : row["response_end"]]
        dress = says.get((row["record_id"], row["choice"], row["response_start"], row["ordinal"]))
        if dress is not None and row["method"] == "near":
            text = dress.text
        found = row["entity_types"] or []
        new = row["provenance"] == Provenance.MEMORISED.value
        made.append(
            {
                **{name: row[name] for name in EXPOSURE_SCHEMA.keys() & row.keys()},
                **{name: row[name] for name in _EXTRA},
                "exposure_id": exposure_id(
                    row["record_id"], row["choice"], row["doc_id"], row["response_start"],
                    row["response_end"], row["doc_start"],
                ),
                "entity_types": found,
                "categories": categories(text, found, row["kind"] if new else None),
                "method": _method(row, dress),
                "value_masked": mask_text(text),
                "value_hash": value_hash(text, pepper),
            }
        )  # fmt: skip
    return pl.DataFrame(made, EXPOSURE_SCHEMA | _EXTRA)


_EXTRA: dict[str, pl.DataType | type[pl.DataType]] = {
    "owner": pl.String, "subject_id": pl.String, "common": pl.Boolean, "dominated": pl.Boolean,
}  # fmt: skip


def _method(row: dict[str, object], dress: Undressed | None) -> str:
    if row["method"] == "exact":
        parts = [f"{row['tokens']} tokens equal to the document"]
    elif dress is not None:
        parts = [f"{row['tokens']} tokens of the document, as {dress.how}"]
    else:
        parts = [f"{row['tokens']} tokens, near-verbatim"]
    if row["provenance"] == Provenance.ECHO.value:
        parts.append("held by the context")
    if row["common"]:
        parts.append(f"common text ({row['df']} documents)")
    if row["dominated"]:
        parts.append("explained by a longer passage of another document")
    return "; ".join(parts)


def typed_exposures(
    values: pl.DataFrame,
    looked: Looked | None,
    documents: dict[int, Document],
    cued: list[bool],
    pepper: bytes,
) -> pl.DataFrame:
    """Make exposure rows of identifiers outside passages.

    Args:
        values: record_id, choice, e_start, e_end, entity_type, score, canonical, form, key; not
            echoed and not inside a passage.
        looked: where the corpus holds them; None without a corpus.
        documents: ordinal to document, for the ordinals in ``looked``.
        cued: per row, whether the prompt spells the value.
        pepper: key of the value hashes.

    Returns:
        Rows of :data:`EXPOSURE_SCHEMA` with ``form``, ``key`` and ``subject_id`` added.
    """
    made: list[dict[str, object]] = []
    for row, cue in zip(values.iter_rows(named=True), cued, strict=True):
        if row["entity_type"] not in {*IDENTIFIERS, IDENTIFIER, CANARY}:
            continue
        planted = row["entity_type"] == CANARY
        if row["form"] == "lower" and is_role_address(row["key"]):
            continue
        found = looked.values.get((row["form"], row["key"])) if looked is not None else None
        owners: dict[str, Document] = {}
        for ordinal in found.ordinals if found else ():
            owners.setdefault(documents[ordinal].owner, documents[ordinal])
        if found and found.df > COMMON_DF and len(owners) > 1:
            continue  # a public address or number, not one person's
        if not found and row["score"] < SURE:
            continue
        if cue:
            provenance = Provenance.CUE_DERIVABLE
        else:
            provenance = Provenance.MEMORISED if found or planted else Provenance.UNVERIFIED
        sources: list[Document | None] = [*list(owners.values())[:_OWNERS]] or [None]
        df = found.df if found else 0
        made.extend(_typed(row, provenance, source, df, pepper) for source in sources)
    return pl.DataFrame(made, EXPOSURE_SCHEMA | _TYPED_EXTRA)


_TYPED_EXTRA: dict[str, pl.DataType | type[pl.DataType]] = {
    "form": pl.String, "key": pl.String, "subject_id": pl.String, "owner": pl.String,
    "canonical": pl.String,
}  # fmt: skip


_SAYS = {
    Provenance.MEMORISED: "value equal to one in the document, not in the context",
    Provenance.CUE_DERIVABLE: "value that the prompt's own words spell",
}


def _typed(
    row: dict[str, object],
    provenance: Provenance,
    source: Document | None,
    df: int,
    pepper: bytes,
) -> dict[str, object]:
    kind, start, end = str(row["entity_type"]), row["e_start"], row["e_end"]
    size = int(end) - int(start)  # type: ignore[call-overload]
    kinds = entity_categories([kind])
    doc = source.doc_id if source else None
    says = (
        "canary: a value planted in the training data and nowhere else"
        if kind == CANARY
        else _SAYS.get(provenance, "value found in no document given and not in the context")
    )
    return {
        "exposure_id": exposure_id(row["record_id"], row["choice"], doc, start, end, kind),
        "record_id": row["record_id"], "choice": row["choice"], "provenance": provenance.value,
        "level": LeakLevel.TYPED.value, "doc_id": doc, "doc_start": None, "doc_end": None,
        "response_start": start, "response_end": end, "matched_chars": size,
        "subtracted_chars": 0, "leaked_chars": size, "df": df, "entity_types": [kind],
        "categories": sorted(kinds), "method": says,
        "value_masked": mask(str(row["canonical"]), kind),
        "value_hash": value_hash(str(row["key"]), pepper),
        "form": row["form"], "key": row["key"], "canonical": row["canonical"],
        "subject_id": source.subject_id if source else None,
        "owner": source.owner if source else None,
    }  # fmt: skip
