"""D14: what preserved gradients of federated training give away (numpy only).

No statement about an actor: whoever holds an artefact can do this arithmetic, and irkit does it to
see which records that discloses.  Sources: Phong et al. 2018 and Geiping et al. 2020 (analytic
inversion of dense layers), Zhao et al. 2020 (iDLG), Wainakh et al. 2021 (label counts), Fowl et
al. 2022 (imprint layers).  MITRE ATLAS has no id of its own for gradient inversion: AML.T0024.001
stands for inverting the model, AML.T0025 for the theft of the files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irkit.analyzers import gradient_files
from irkit.analyzers.registry import DetectorSpec, register_artifact
from irkit.case import evidence
from irkit.case.mask import clean
from irkit.model import (
    TECHNIQUE_TAGS,
    PKind,
    Profile,
    Progress,
    Stage,
    Status,
    Technique,
    Tier,
    UnitKind,
)

if TYPE_CHECKING:
    from irkit.analyzers.gradient_analysis import Analysis
    from irkit.analyzers.gradient_match import Match, NumericRecords
    from irkit.case import Case

#: How the evidence files of this detector are marked; readers of logs leave them alone.
NPZ, SAFETENSORS, SIDECAR = "gradient_npz", "gradient_safetensors", "gradient_sidecar"
#: Name of a unit that is an artefact.
PREFIX = "gradient:"
#: Outcome of a file that holds the server's parameters.
SENT_MODEL = "sent_model"
_NAME = "gradient_artifact_leakage"


@register_artifact
class GradientArtifactLeakage:
    """Analytic inversion of preserved updates."""

    spec = DetectorSpec(
        id="D14",
        name=_NAME,
        version="1",
        title="Gradient artefact leakage",
        looks_for="records, labels and tokens that follow from a preserved gradient or weight "
        "delta, and layers that a dishonest server shaped to separate records",
        inputs=("gradients", "corpus"),
        statistic="vectors that several neurons of a dense layer agree on, compared with the "
        "training records by cosine; no score and no threshold on actors",
        threshold_source="arithmetic; cosine 0.99 for a record",
        cost="one pass over each array",
        known_false_positives=(
            "a weighted mean of several records where the output has two classes, or where an"
            " untrained model treats records of one class alike",
            "records that are alike in all their values",
        ),
        atlas=TECHNIQUE_TAGS[Technique.DATA_RECONSTRUCTION].atlas,
        nist_aml=TECHNIQUE_TAGS[Technique.DATA_RECONSTRUCTION].nist_aml,
        owasp=TECHNIQUE_TAGS[Technique.DATA_RECONSTRUCTION].owasp,
        statistics=(),
    )


@dataclass(frozen=True, slots=True)
class GradientReport:
    """What the artefacts of a case give away.

    Attributes:
        outcomes: artefacts by report class.
        records: training records identified for certain.
        findings: findings written.
        rejects: arrays and files that could not be read.
    """

    outcomes: dict[str, int]
    records: int
    findings: int
    rejects: int


@dataclass(frozen=True, slots=True)
class _Source:
    source_id: int
    path: Path
    original: str
    sha256: str
    size: int
    sidecar: bytes | None

    @property
    def name(self) -> str:
        return clean(self.original.replace("\\", "/").rsplit("/", 1)[-1])


def present(case: Case) -> bool:
    """Tell whether the case holds gradient artefacts."""
    found = "SELECT 1 FROM evidence_source WHERE format IN (?, ?) LIMIT 1"
    return bool(case.rows(found, [NPZ, SAFETENSORS]))


def forget(case: Case) -> None:
    """Remove what an earlier run found, and its findings."""
    case.clear("gradient_artifact", "gradient_match")
    case.con.execute("DELETE FROM finding WHERE starts_with(unit, ?)", [PREFIX])
    case.con.execute("DELETE FROM detector_result WHERE detector = ?", [_NAME])


def run(
    case: Case,
    records: Sequence[NumericRecords],
    progress: Callable[[Progress], None] | None = None,
) -> GradientReport:
    """Analyse every artefact of the case and write results, findings and quarantine rows.

    Args:
        case: a case opened for writing, replayed already.
        records: tables of training records to recognise reconstructions by.
        progress: told how far the work is.
    """
    sources = _sources(case)
    most = case.settings.memory_limit_mb << 19
    models = _models(sources, most)
    made: list[_Outcome] = []
    for number, source in enumerate(sources):
        if progress:
            note = source.name
            progress(Progress(Stage.GRADIENTS, number, len(sources), "files", note))
        made.append(_one(source, models, records, most))
    if progress:
        progress(Progress(Stage.GRADIENTS, len(sources), len(sources), "files"))
    with case.transaction():
        forget(case)
        findings = _write(case, made)
    outcomes: dict[str, int] = {}
    for one in made:
        outcomes[one.analysis.outcome] = outcomes.get(one.analysis.outcome, 0) + 1
    certain = {m.doc_id for one in made for _, _, m in one.matches if m.sure}
    return GradientReport(
        dict(sorted(outcomes.items())), len(certain), findings, sum(len(o.rejects) for o in made)
    )


@dataclass(slots=True)
class _Outcome:
    source: _Source
    meta: gradient_files.Meta
    analysis: Analysis
    rejects: list[gradient_files.Reject]
    listed: int
    matches: list[tuple[str, str, Match]]

    @property
    def unit(self) -> str:
        meta = self.meta
        return (
            f"{PREFIX}round {meta.round or '?'}/client {meta.client or '?'}"
            f"/E{self.source.source_id:03d}"
        )

    @property
    def tier(self) -> Tier | None:
        """Grade: certain disclosure or tampering A, unmatched reconstruction B, labels C."""
        from irkit.analyzers.gradient_analysis import EXACT, PARTIAL

        if self.analysis.tampered or any(m.sure for _, _, m in self.matches):
            return Tier.A
        return {EXACT: Tier.B, PARTIAL: Tier.C}.get(self.analysis.outcome)


def _sources(case: Case) -> list[_Source]:
    rows = case.rows(
        "SELECT source_id, original_path, sha256, bytes, format FROM evidence_source"
        " WHERE starts_with(format, 'gradient_') ORDER BY source_id"
    )
    beside = {
        str(original): evidence.evidence_path(case, int(number))
        for number, original, _, size, kind in rows
        if kind == SIDECAR and size <= 1 << 20
    }
    out = []
    for number, original, sha, size, kind in rows:
        if kind == SIDECAR:
            continue
        where = beside.get(f"{original}.json")
        content = where.read_bytes() if where is not None else None
        path = evidence.evidence_path(case, int(number))
        out.append(_Source(int(number), path, str(original), str(sha), int(size), content))
    return out


def _models(sources: Sequence[_Source], most: int) -> dict[str | None, _Source]:
    """Files with the server's parameters, by round."""
    found: dict[str | None, _Source] = {}
    for source in sources:
        with gradient_files.opened(source.path, most=most, sidecar=source.sidecar) as file:
            if file.meta.kind == "model":
                found.setdefault(file.meta.round, source)
    return found


def _one(
    source: _Source,
    models: dict[str | None, _Source],
    records: Sequence[NumericRecords],
    most: int,
) -> _Outcome:
    from irkit.analyzers.gradient_analysis import EXACT, UNREADABLE, analyse, tampering
    from irkit.analyzers.gradient_match import match

    with ExitStack() as stack:
        file = stack.enter_context(
            gradient_files.opened(source.path, most=most, sidecar=source.sidecar)
        )
        if file.meta.kind == "model" and file.specs:
            analysis = tampering(file)
            analysis.outcome = SENT_MODEL
        else:
            other = models.get(file.meta.round)
            sent = None
            if other is not None and file.meta.kind != "model":
                sent = stack.enter_context(
                    gradient_files.opened(other.path, most=most, sidecar=other.sidecar)
                )
            analysis = analyse(file, sent)
        matches: list[tuple[str, str, Match]] = []
        seen: set[tuple[str, bool]] = set()
        for group in analysis.candidates:
            for found in match(group.values, records):
                # One record is often met by several neurons: it is one disclosure.
                if (found.doc_id, found.sure) not in seen:
                    seen.add((found.doc_id, found.sure))
                    matches.append((group.layer, group.how[found.candidate], found))
        if file.rejects and not file.specs and analysis.outcome != UNREADABLE:
            analysis.outcome = UNREADABLE
        if any(m.sure for _, _, m in matches):
            analysis.outcome = EXACT
        analysis.sentences += file.notes
        if file.rejects:
            analysis.sentences.append(
                f"{len(file.rejects):,} of {max(1, file.total):,} arrays could not be read"
                " (quarantine)"
            )
        return _Outcome(source, file.meta, analysis, list(file.rejects), file.total, matches)


def _write(case: Case, made: Sequence[_Outcome]) -> int:
    import polars as pl

    from irkit.analyzers.gradient_analysis import NOT_COMPUTED

    artefacts, matches, results, findings, quarantine = [], [], [], [], []
    for one in made:
        meta, analysis = one.meta, one.analysis
        certain = {m.doc_id for _, _, m in one.matches if m.sure}
        doubtful = {m.doc_id for _, _, m in one.matches if not m.sure} - certain
        detail = {
            **analysis.detail,
            "sentences": analysis.sentences,
            "not_computed": list(NOT_COMPUTED),
            "records_identified": len(certain),
            "records_possible": len(doubtful),
            "tampered": analysis.tampered,
            "stated": {
                name: value
                for name, value in (
                    ("batch", meta.batch), ("clients", meta.clients), ("lr", meta.lr),
                    ("steps", meta.steps), ("secure_aggregation", meta.secure_aggregation or None),
                )
                if value is not None
            },
        }  # fmt: skip
        artefacts.append(
            (one.source.source_id, one.unit, meta.round, meta.client, meta.kind,
             analysis.outcome, json.dumps(detail, sort_keys=True, allow_nan=False))
        )  # fmt: skip
        for item, (layer, how, m) in enumerate(one.matches):
            matches.append(
                (one.source.source_id, item, clean(layer)[:80], how, m.doc_id, m.subject_id,
                 m.kind, m.cosine, m.distance, m.psnr, m.sure, m.scaling)
            )  # fmt: skip
        summary = _summary(one, len(certain))
        tier = one.tier
        status = Status.ERROR if analysis.outcome == "unreadable" else (
            Status.FOUND if tier is not None else Status.NO_FINDINGS
        )  # fmt: skip
        kind = PKind.SIGNATURE if tier is Tier.A else PKind.NONE
        results.append((UnitKind.SESSION.value, one.unit, _NAME, status.value, kind.value, summary))
        if tier is not None:
            findings.append(
                ("F-" + hashlib.sha256(f"{one.source.sha256}|{_NAME}".encode()).hexdigest()[:12],
                 UnitKind.SESSION.value, one.unit, Technique.DATA_RECONSTRUCTION.value,
                 Profile.CROSS_CHANNEL.value, tier.value, kind.value, float(len(certain)), 0,
                 summary)
            )  # fmt: skip
        quarantine += [
            (one.source.source_id, reject.index + 1, 0, one.source.size, one.source.sha256,
             reject.code, reject.reason)
            for reject in one.rejects
        ]  # fmt: skip
    _append(case, "gradient_artifact", artefacts, {
        "source_id": pl.Int32, "unit": pl.String, "round": pl.String, "client": pl.String,
        "kind": pl.String, "outcome": pl.String, "detail": pl.String})  # fmt: skip
    _append(case, "gradient_match", matches, {
        "source_id": pl.Int32, "item": pl.Int32, "layer": pl.String, "how": pl.String,
        "doc_id": pl.String, "subject_id": pl.String, "kind": pl.String, "cosine": pl.Float64,
        "distance": pl.Float64, "psnr": pl.Float64, "sure": pl.Boolean,
        "scaling": pl.String})  # fmt: skip
    _append(case, "detector_result", results, {
        "unit_kind": pl.String, "unit": pl.String, "detector": pl.String, "status": pl.String,
        "p_kind": pl.String, "summary": pl.String})  # fmt: skip
    _append(case, "finding", findings, {
        "finding_id": pl.String, "unit_kind": pl.String, "unit": pl.String,
        "technique": pl.String, "profile": pl.String, "tier": pl.String, "p_kind": pl.String,
        "score": pl.Float64, "queries": pl.Int64, "summary": pl.String})  # fmt: skip
    ids = [one.source.source_id for one in made]
    case.con.execute("DELETE FROM quarantine WHERE source_id IN (SELECT unnest(?))", [ids])
    _append(case, "quarantine", quarantine, {
        "source_id": pl.Int32, "entry_no": pl.Int64, "byte_offset": pl.Int64,
        "byte_len": pl.Int64, "sha256": pl.String, "error_code": pl.String,
        "error_text": pl.String})  # fmt: skip
    case.con.executemany(
        "UPDATE evidence_source SET entries = ?, records = 0, blanks = 0, quarantined = ?"
        " WHERE source_id = ?",
        [
            [max(one.listed, len(one.rejects)), len(one.rejects), one.source.source_id]
            for one in made
        ],
    )
    return len(findings)


def _append(
    case: Case, table: str, rows: Sequence[tuple[Any, ...]], schema: dict[str, Any]
) -> None:
    import polars as pl

    if rows:
        case.append(table, pl.DataFrame(rows, schema, orient="row"))


_WORDS = {
    "exact": "gives training records away exactly",
    "partial": "gives labels, tokens or inner activations away",
    "optimisation_only": "gives nothing away by arithmetic; optimisation against the model may",
    "protected": "is protected",
    "unreadable": "could not be read",
    SENT_MODEL: "holds parameters that the server sent",
}


def _summary(one: _Outcome, certain: int) -> str:
    words = f"A preserved {'weight delta' if one.meta.kind == 'delta' else 'gradient'}"
    if one.meta.kind == "model":
        words = "A preserved model"
    words += f" {_WORDS[one.analysis.outcome]}."
    if certain:
        words += f" Training records identified: {certain:,}."
    if one.analysis.tampered:
        words += " Certain pattern: a layer shaped to separate the records of a batch."
    return words


def lines(case: Case) -> list[dict[str, Any]]:
    """Return one row per artefact for people and exports, without any value of a record."""
    # A case of an earlier version, opened for reading, has no such table.
    if not case.rows("SELECT 1 FROM duckdb_tables() WHERE table_name = 'gradient_artifact'"):
        return []
    rows = case.rows(
        "SELECT a.source_id, e.original_path, a.unit, a.round, a.client, a.kind, a.outcome,"
        " a.detail FROM gradient_artifact a JOIN evidence_source e USING (source_id)"
        " ORDER BY a.source_id"
    )
    names = ("source_id", "file", "unit", "round", "client", "kind", "outcome")
    return [
        {
            **dict(zip(names, row[:7], strict=True)),
            "file": str(row[1]).replace("\\", "/").rsplit("/", 1)[-1],
            **json.loads(row[7]),
        }
        for row in rows
    ]


def explain(case: Case, finding_id: str) -> list[str]:
    """Explain a finding about an artefact in sentences."""
    row = case.rows(
        "SELECT a.source_id, a.outcome, f.tier FROM finding f JOIN gradient_artifact a"
        " ON a.unit = f.unit WHERE f.finding_id = ?",
        [finding_id],
    )[0]
    found = next(one for one in lines(case) if one["source_id"] == row[0])
    who = ", ".join(
        f"{name} {found[name]}" for name in ("round", "client") if found[name] is not None
    )
    out = [
        f"What: evidence file E{int(row[0]):03d}{f' ({who})' if who else ''}"
        f" {_WORDS[str(row[1])]} (data reconstruction).",
        *[f"{words[0].upper()}{words[1:]}." for words in found["sentences"]],
    ]
    if found["records_identified"] or found["records_possible"]:
        out.append(
            f"Which records: {found['records_identified']:,} training records were recognised in a"
            " reconstruction (cosine 0.99 or more, no other record near);"
            f" {found['records_possible']:,} more may be, but others are as near."
        )
    else:
        out.append(
            "Which records: none identified; give the training records as numbers with --corpus to"
            " look for them."
        )
    out.append(f"Grade {row[2]}: {_GRADE[str(row[2])]}.")
    out.append("Not computed: " + "; ".join(found["not_computed"]) + ".")
    out.append(
        "What this does not say: who holds the file, or that anybody did this arithmetic. It says"
        " what the file discloses to whoever has it."
    )
    return out


_GRADE = {
    "A": "a training record was recognised in the file, or the sent model was shaped for it",
    "B": "vectors follow exactly, but no table of training records showed which they are",
    "C": "labels, tokens or activations only",
}
