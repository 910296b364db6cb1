"""Assess, notify, contain, remediate, export; and looking at a case."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irkit.case import Case, evidence
from irkit.case.evidence import ProgressCallback
from irkit.model import EvidenceFile, EvidenceState, Phase, Progress, Stage

if TYPE_CHECKING:
    from irkit.packet import PacketResult
    from irkit.playbook import Assessment


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """Evidence states and the custody chain's length and head."""

    evidence: tuple[EvidenceFile, ...]
    custody_entries: int
    custody_head: str

    @property
    def state(self) -> EvidenceState:
        """Worst state over all files; an empty case is unverifiable, not verified."""
        states = {file.state for file in self.evidence}
        for worst in (EvidenceState.MISMATCH, EvidenceState.UNVERIFIABLE):
            if worst in states:
                return worst
        return EvidenceState.VERIFIED if states else EvidenceState.UNVERIFIABLE


def assess(case: Case, *, facts: Path | None = None) -> Assessment:
    """Severity, obligations and deadlines from what was scoped."""
    from irkit.playbook import assess as judge
    from irkit.playbook.facts import facts_from_case, load_facts

    known = load_facts(facts, case) if facts else facts_from_case(case)
    result = judge(case, facts=known)
    case.custody.append("assess", settings_hash=case.settings.digest())
    return result


def notify(
    case: Case,
    out: Path,
    *,
    phase: Phase = Phase.PRELIMINARY,
    facts: Path | None = None,
    paper: str = "A4",
    schedule_recipients: Sequence[str] = (),
    progress: ProgressCallback | None = None,
) -> PacketResult:
    """Build the notification packet of a phase.

    Args:
        case: the case.
        out: directory for the files.
        phase: phase of the notification.
        facts: file with what only people know.
        paper: ``A4`` or ``Letter``.
        schedule_recipients: age public keys for which the contact schedule is encrypted.
        progress: called while the evidence is hashed again, and before the packet is built.

    Raises:
        PacketIncomplete: mandatory facts of the phase are missing; the list is in the message.
        EvidenceMismatch: evidence changed since intake; no packet is built on it.
    """
    from irkit.packet import build_packet
    from irkit.playbook.exposed import held
    from irkit.playbook.facts import facts_from_case, load_facts

    evidence.verify(case, strict=True, progress=progress)
    if progress is not None:
        progress(Progress(Stage.ASSESS, 0, 0, "", "building the packet"))
    with held(case):
        known = load_facts(facts, case) if facts else facts_from_case(case)
        return build_packet(
            case,
            phase=phase,
            facts=known,
            out=out,
            paper=paper,
            schedule_recipients=schedule_recipients,
        )


def sign(
    packet: Path, key: Path, passphrase: bytes, *, reason: str = "", case: Case | None = None
) -> Path:
    """Sign a finished packet with a PKCS#12 key; see :func:`irkit.packet.sign.sign_packet`.

    Args:
        packet: the packet's PDF, or the directory that holds it.
        key: PKCS#12 file.
        passphrase: its passphrase.
        reason: shown in the signature.
        case: where the act is recorded.

    Raises:
        UsageError: key, passphrase or packet cannot be used, or the packet is not what its
            manifest says.
    """
    from irkit.errors import UsageError
    from irkit.packet import verify_packet
    from irkit.packet.sign import sign_packet

    pdf = packet / "packet.pdf" if packet.is_dir() else packet
    if not pdf.is_file():
        raise UsageError(f"{pdf}: no such packet", "give packet.pdf or the directory that holds it")
    if not verify_packet(pdf).ok:
        raise UsageError(
            f"{pdf}: is not the packet that irkit built, so it is not signed",
            "see what differs: irkit verify PACKET",
        )
    return sign_packet(pdf, key, passphrase, reason=reason, case=case)


@dataclass(frozen=True, slots=True)
class DraftPages:
    """A packet drawn for looking at.

    Attributes:
        texts: the text of each page in the page's layout.
        changes: what changed since the packet before: rows of ``label``, ``before`` and ``now``.
        pdf: the pages themselves.
    """

    texts: list[str]
    changes: list[dict[str, str]]
    pdf: bytes = b""


def draft_pages(case: Case, phase: Phase) -> DraftPages:
    """Draw a phase's packet for looking at; nothing is frozen, no custody is written.

    Args:
        case: the case, or a read-only view of it on a connection of its own.
        phase: the phase whose packet is drawn.

    Raises:
        PacketIncomplete: mandatory facts of the phase are missing.
    """
    import tempfile

    from pypdf import PdfReader

    from irkit.packet import build_packet
    from irkit.playbook.facts import facts_from_case

    quiet = Case(case.path, case.settings, case.con, writable=False, clock=case.clock)
    with tempfile.TemporaryDirectory(prefix="irkit-") as scratch:
        known = facts_from_case(quiet)
        built = build_packet(quiet, phase=phase, facts=known, out=Path(scratch))
        pdf = built.pdf.read_bytes()
        pages = [
            page.extract_text(extraction_mode="layout") or ""
            for page in PdfReader(io.BytesIO(pdf)).pages
        ]
        changes = json.loads(built.json.read_bytes()).get("changes") or []
    rows = [
        {name: str(row.get(name) or "") for name in ("label", "before", "now")} for row in changes
    ]
    return DraftPages(pages, rows, pdf)


def contain(case: Case, out: Path) -> list[Path]:
    """Back-tested containment rules, revocation list and indicators."""
    from irkit.playbook.containment import contain as build

    return list(build(case, out))


def remediate(case: Case, out: Path) -> list[Path]:
    """Unlearning or retraining manifest and retest plan."""
    from irkit.playbook.remediation import remediate as build

    return list(build(case, out))


def export(case: Case, out: Path, *, reveal: bool = False) -> list[Path]:
    """Write the contract's export files."""
    from irkit.packet.export import export as write

    paths = write(case, out, reveal=reveal)
    if case.writable:
        case.custody.append("export", files=[path.name for path in paths], reveal=reveal)
    return paths


def status(case: Case) -> dict[str, Any]:
    """What happened, how sure it is, how long is left and what comes next, as data.

    Works on a case opened for reading: nothing is recomputed or stored.
    """
    from irkit.case import views
    from irkit.packet.export import summary
    from irkit.playbook import steps

    facts = summary(case)
    coming = views.next_deadline(case.con, case.clock())
    facts["next_deadline"] = None
    if coming is not None and coming.at is not None:
        facts["next_deadline"] = {
            "at": coming.at.isoformat(),
            "hours_left": round((coming.at - case.clock()).total_seconds() / 3600, 1),
            "regime": coming.regime,
            "rule": coming.rule,
        }
    first = next((v for v in steps(case) if v.state in ("in_progress", "open")), None)
    facts["next_step"] = {"id": first.step.id, "title": first.step.title} if first else None
    return facts


def explain(case: Case, finding_id: str) -> list[str]:
    """Say in sentences why an actor was flagged and what else could explain it."""
    from irkit.analyzers import explain as tell

    return tell(case, finding_id)


def catalogue(what: str) -> tuple[list[dict[str, Any]], list[str]]:
    """What irkit knows of a kind, one row each, and the plug-ins that failed to load.

    Args:
        what: ``formats``, ``detectors``, ``recognisers``, ``regimes`` or ``steps``.
    """
    if what == "formats":
        from irkit.ingest.registry import registry

        formats = registry()
        return formats.rows(), formats.warnings()
    if what == "detectors":
        from irkit.analyzers import load_detectors

        known = load_detectors()
        return known.rows(), [f"{warning.plugin}: {warning.reason}" for warning in known.warnings]
    if what == "recognisers":
        from irkit.analyzers.pii_catalogue import recognisers

        return recognisers(), []
    from irkit.playbook.engine import list_regimes, list_steps

    return (list_regimes() if what == "regimes" else list_steps()), []


def verify(case: Case, *, progress: ProgressCallback | None = None) -> VerifyResult:
    """Re-hash all evidence and check the custody chain."""
    states = tuple(evidence.verify(case, progress=progress))
    entries, head = case.custody.verify()
    return VerifyResult(states, entries, head)
