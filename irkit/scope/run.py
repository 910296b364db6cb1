"""One scoping run, step by step; see :func:`irkit.scope.scope`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from irkit.analyzers.corpus_files import Corpus
from irkit.case.mask import value_hash
from irkit.case.views.standing import CANARIES
from irkit.model import Count, Progress, Provenance, Stage
from irkit.scope import ScopeReport
from irkit.scope.canaries import read_canaries
from irkit.scope.context import subtract
from irkit.scope.counts import count_all
from irkit.scope.decoded import decoded_passages
from irkit.scope.exposures import (
    EXPOSURE_SCHEMA,
    Document,
    inside_passages,
    passage_exposures,
    typed_exposures,
)
from irkit.scope.limits import limits
from irkit.scope.links import Links, link_passages, link_typed, raise_levels
from irkit.scope.lookup import Looked, look_up
from irkit.scope.passages import (
    SCHEMA as PASSAGES,
)
from irkit.scope.passages import (
    matched_pairs,
    novel_spans,
    passages_of,
    prepared_runs,
)
from irkit.scope.reading import read_names, without_ordinary
from irkit.scope.reconstructed import link_reconstructed, reconstructed
from irkit.scope.register import Register, empty_register, read_register
from irkit.scope.subjects import Linker, people
from irkit.scope.tables import SetAside
from irkit.scope.values import cue_derivable, occurrences

if TYPE_CHECKING:
    from irkit.case import Case

#: Responses of actors under suspicion: of every unit with a finding of tier A, B or C.
_SUSPECTS = """
WITH units AS (
  SELECT unit FROM finding WHERE tier IN ('A', 'B', 'C') UNION
  SELECT unnest(members) FROM finding WHERE tier IN ('A', 'B', 'C')
)
SELECT DISTINCT c.record_id, c.choice FROM query_choice c JOIN query_record r USING (record_id)
LEFT JOIN record_session s USING (record_id)
WHERE r.duplicate_of IS NULL AND (r.credential_id IN (SELECT unit FROM units)
  OR r.client_ip IN (SELECT unit FROM units) OR s.session_key IN (SELECT unit FROM units))
ORDER BY ALL
"""
_EVERY = """
SELECT c.record_id, c.choice FROM query_choice c JOIN query_record r USING (record_id)
WHERE r.duplicate_of IS NULL ORDER BY ALL
"""


def run(
    case: Case,
    corpus: Corpus | None,
    *,
    subjects: Path | None,
    canaries: Path | None,
    deep: bool,
    progress: Callable[[Progress], None] | None,
    inputs: str,
) -> ScopeReport:
    """Read all there is, then rebuild the scoping tables in one transaction.

    Args:
        case: the case, outside any transaction.
        corpus: the matched corpus, or None.
        subjects: the register, or None.
        canaries: values planted in the training data, or None.
        deep: read every response.
        progress: told how far the work is.
        inputs: digest of what the run depends on, stored with the finished stage.
    """
    register = read_register(subjects) if subjects is not None else empty_register()
    planted, unplanted = read_canaries(canaries) if canaries is not None else (None, ())
    known = register.identifiers.select("entity_type", "canonical", "form", "key")
    known = known if planted is None else pl.concat([known, planted.select(known.columns)])
    pepper = str(case.settings.seed).encode()
    close = matched_pairs(case)
    close = case.frame(_EVERY) if deep else pl.concat([close, case.frame(_SUSPECTS)]).unique()
    found, novel = _passages(case, close.sort("record_id", "choice"))
    if _annotated(case) and not deep:
        novel = without_ordinary(novel, found)
    encoded, says = decoded_passages(case, corpus) if corpus is not None else (None, {})
    if encoded is not None:
        found = pl.concat([found, encoded])
    values = inside_passages(occurrences(case, known), found)
    names, scanned = read_names(case, novel, values, progress)
    names = inside_passages(names, found)
    looked, documents = _look_up(case, corpus, values, progress)
    every = _entities(values, names, looked)
    verbatim = passage_exposures(case, found, every, says, pepper)
    loose = values.filter(~pl.col("in_memorised") & ~pl.col("echo"))
    typed = typed_exposures(loose, looked, documents, _cued(case, loose), pepper)
    links, linker = _link(verbatim, typed, every, register, annotated=_annotated(case))
    rebuilt = reconstructed(case, pepper)
    link_reconstructed(links, linker, rebuilt)
    typed = raise_levels(typed, links.records)
    columns = list(EXPOSURE_SCHEMA)
    exposures = (
        pl.concat([verbatim.select(columns), typed.select(columns), rebuilt.select(columns)])
        .unique("exposure_id", keep="first", maintain_order=True)
        .sort("record_id", "choice", "response_start", "response_end", "exposure_id")
    )
    with case.transaction():
        _store(case, exposures, every, links, linker, register, pepper)
        _store_aside(case, (subjects, register.aside), (canaries, unplanted))
        case.set_meta(CANARIES, str(0 if planted is None else len(planted)))
        counts = count_all(case, with_corpus=corpus is not None)
        said = limits(case, with_corpus=corpus is not None, deep=deep)
        report = _report(case, counts, scanned, said, with_corpus=corpus is not None)
        case.mark_stage(Stage.SCOPE, "scope", inputs, report.detail())
    return report


def _passages(case: Case, close: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Passages, and the stretches of closely read responses that are new to their context."""
    runs = prepared_runs(case)
    found: list[pl.DataFrame] = [pl.DataFrame(schema=PASSAGES)]
    novel: list[pl.DataFrame] = []
    for masked in subtract(case, close):
        if len(runs):
            found.append(passages_of(masked, runs))
        novel.append(novel_spans(masked))
    rows = pl.concat(found).sort(
        "record_id", "choice", "response_start", "response_end", "ordinal", "doc_start"
    )
    spans = pl.concat(novel) if novel else pl.DataFrame(schema=_SPANS)
    return rows, spans


_SPANS = {
    "record_id": pl.String, "choice": pl.Int32, "text_id": pl.String, "start": pl.Int64,
    "end": pl.Int64,
}  # fmt: skip


def _look_up(
    case: Case,
    corpus: Corpus | None,
    values: pl.DataFrame,
    progress: Callable[[Progress], None] | None,
) -> tuple[Looked | None, dict[int, Document]]:
    """Where the corpus holds the values that no passage explains."""
    if corpus is None:
        return None, {}
    loose = values.filter(~pl.col("in_memorised") & ~pl.col("echo"))
    total = corpus.bytes

    def seen(done: int) -> None:
        if progress is not None:
            progress(Progress(Stage.SCOPE, done, total, "bytes", "looking up identifiers"))

    keys = loose.select("form", "key").unique().sort("form", "key").rows()
    looked = look_up(corpus, keys, seen=seen)
    ordinals = sorted({n for entry in looked.values.values() for n in entry.ordinals})
    documents: dict[int, Document] = {}
    if ordinals:
        rows = case.frame(
            "SELECT ordinal, doc_id, subject_id, coalesce(subject_id, sha256) AS owner, kind"
            " FROM corpus_doc WHERE ordinal IN (SELECT unnest(?))",
            [ordinals],
        )
        documents = {row[0]: Document(*row[1:]) for row in rows.iter_rows()}
    return looked, documents


def _entities(values: pl.DataFrame, names: pl.DataFrame, looked: Looked | None) -> pl.DataFrame:
    """All entities of all responses with their provenance."""
    held = [
        looked is not None and (form, key) in looked.values
        for form, key in values.select("form", "key").iter_rows()
    ]
    both = pl.concat(
        [values.with_columns(held=pl.Series(held, dtype=pl.Boolean)),
         names.with_columns(held=pl.lit(False))],
        how="diagonal",
    )  # fmt: skip
    provenance = (
        pl.when(pl.col("in_memorised") | (pl.col("held") & ~pl.col("echo")))
        .then(pl.lit(Provenance.MEMORISED.value))
        .when(pl.col("echo") | pl.col("in_echo"))
        .then(pl.lit(Provenance.ECHO.value))
        .otherwise(pl.lit(Provenance.UNVERIFIED.value))
    )
    return both.with_columns(provenance=provenance).sort(
        "record_id", "choice", "e_start", "e_end", "entity_type", "recogniser"
    )


def _cued(case: Case, loose: pl.DataFrame) -> list[bool]:
    emails = loose.with_row_index("row").filter(pl.col("entity_type") == "EMAIL_ADDRESS")
    flags = [False] * len(loose)
    told = cue_derivable(case, emails.select("record_id", "key"))
    for row, flag in zip(emails["row"].to_list(), told, strict=True):
        flags[row] = flag
    return flags


def _annotated(case: Case) -> bool:
    return bool(case.rows("SELECT 1 FROM corpus_doc WHERE subject_id IS NOT NULL LIMIT 1"))


def _link(
    verbatim: pl.DataFrame,
    typed: pl.DataFrame,
    entities: pl.DataFrame,
    register: Register,
    *,
    annotated: bool,
) -> tuple[Links, Linker]:
    linker, links = Linker(register), Links()
    link_passages(links, linker, verbatim, entities, annotated)
    link_typed(links, linker, typed)
    return links, linker


_EXPLAINED = {
    "spacy": "named entity model spaCy alone",
    "rampart+spacy": "named entity models Rampart and spaCy agree",
    "rampart": "named entity model Rampart",
    "irkit-country": "name of a country",
    "irkit-legal-form": "name with a legal form",
    "irkit": "pattern",
    "stdnum": "pattern and check digits",
    "phonenumbers": "number plan",
    "detect-secrets": "credential pattern",
}


def _store(
    case: Case,
    exposures: pl.DataFrame,
    entities: pl.DataFrame,
    links: Links,
    linker: Linker,
    register: Register,
    pepper: bytes,
) -> None:
    case.clear("entity", "exposure", "exposure_subject", "subject")
    case.append("exposure", exposures)
    explained = [
        next((text for name, text in _EXPLAINED.items() if r.startswith(name)), "Presidio pattern")
        for r in entities["recogniser"].to_list()
    ]
    hashes = [value_hash(key, pepper) for key in entities["key"].to_list()]
    case.append(
        "entity",
        entities.select(
            "record_id", "choice", "e_start", "e_end", "entity_type", "recogniser", "score",
            "provenance",
        ).with_columns(
            explanation=pl.Series(explained, dtype=pl.String),
            value_hash=pl.Series(hashes, dtype=pl.String),
        ),
    )  # fmt: skip
    rows = links.frame()
    timed = case.frame(
        "SELECT e.exposure_id, e.provenance, e.level, e.categories, r.event_time"
        " FROM exposure e LEFT JOIN query_record r USING (record_id)"
    )
    keyed = rows.with_columns(
        subject_key=pl.Series([linker.key(n) for n in rows["node"].to_list()], dtype=pl.String)
    )
    found = people(timed, rows, linker, register, links.countries, links.labels)
    case.append("subject", found)
    case.append(
        "exposure_subject",
        keyed.join(found, on="subject_key", how="semi")
        .select("exposure_id", "subject_key")
        .unique()
        .sort("exposure_id", "subject_key"),
    )


def _store_aside(case: Case, *tables: tuple[Path | None, tuple[SetAside, ...]]) -> None:
    """Keep which rows of handed-in tables could not be used."""
    case.clear("input_aside")
    rows = [(path.name, one.row, one.reason) for path, aside in tables if path for one in aside]
    schema = {"file": pl.String, "row": pl.Int64, "reason": pl.String}
    case.append("input_aside", pl.DataFrame(rows, schema, orient="row"))


def _report(
    case: Case,
    counts: dict[str, Count],
    scanned: int,
    notes: tuple[str, ...],
    *,
    with_corpus: bool,
) -> ScopeReport:
    exposures = dict(
        case.rows("SELECT provenance, count(*) FROM exposure GROUP BY 1 ORDER BY provenance")
    )
    entities = case.rows("SELECT count(*) FROM entity")[0][0]
    return ScopeReport(counts, exposures, entities, scanned, with_corpus, notes)
