"""Building a packet: gates, pages, annexes, self-scan, and the frozen chain of phases.

Packets lie in the case under ``packets/NNN-phase/``.  A signed packet is never overwritten; an
unsigned one is a draft and gives way to the next build of its phase.  Every packet names the hash
of the one before.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irkit.errors import PacketIncomplete, StorageError, UsageError
from irkit.model import Phase
from irkit.packet.annexes import SCHEDULE, annexes, cells
from irkit.packet.compose import compose
from irkit.packet.gate import SelfScan, known_values, pdf_texts, selfscan
from irkit.packet.model import Packet, Row
from irkit.packet.words import shown, stamp
from irkit.playbook.assessment import Assessment, assess, evaluate
from irkit.playbook.exposed import held
from irkit.playbook.facts import Facts, completeness
from irkit.playbook.facts_toml import template
from irkit.playbook.fields import CONTACT_KEYS, FIELD
from irkit.playbook.prefill import completed

if TYPE_CHECKING:
    from irkit.case import Case

PDF, JSON, MANIFEST, TEMPLATE = "packet.pdf", "packet.json", "manifest-sha256.txt", "facts.toml"


@dataclass(frozen=True, slots=True)
class PacketResult:
    """A built packet: where it lies, what is in it, what is still missing."""

    pdf: Path
    json: Path
    files: tuple[Path, ...]
    frozen: Path | None
    phase: str
    number: int
    sha256: str
    draft: bool
    missing: tuple[str, ...]
    scan: SelfScan


@dataclass(frozen=True, slots=True)
class _Frozen:
    """The newest packet of the case."""

    path: Path
    number: int
    phase: str
    draft: bool
    sha256: str
    data: Mapping[str, Any]


def build_packet(
    case: Case,
    *,
    phase: Phase,
    facts: Facts,
    out: Path,
    paper: str = "A4",
    schedule_recipients: Sequence[str] = (),
) -> PacketResult:
    """Build the packet of a phase into ``out`` and freeze it in the case.

    Preliminary and supplementary packets may lack facts (Art. 33(4)); what lacks is listed in the
    packet and in the result.  A complete packet may not, a late one must say why, and so must a
    withdrawal.

    Args:
        case: the case; a read-only one gets the files but no frozen copy.
        phase: phase of the notification.
        facts: what is known, usually from :func:`irkit.playbook.facts.load_facts`.
        out: directory for the files.
        paper: ``A4`` or ``Letter``.
        schedule_recipients: age public keys; with them the contact schedule is written to ``out``,
            encrypted, and never into the frozen packet.

    Raises:
        PacketIncomplete: a complete packet lacks mandatory facts, or a late one or a withdrawal
            lacks its reasons; the error's ``missing`` lists the keys, and ``out/facts.toml`` is
            the file to fill.
        PacketError: an exposed value would stand in the packet.
        UsageError: the phase does not fit the chain.
        StorageError: a file cannot be written.
    """
    from irkit.packet.document import PAPERS

    if paper not in PAPERS:
        raise UsageError(f"unknown paper '{paper}'", "use: " + ", ".join(PAPERS))
    with held(case):
        return _build(case, phase, facts, out, paper, schedule_recipients)


def _build(
    case: Case,
    phase: Phase,
    facts: Facts,
    out: Path,
    paper: str,
    schedule_recipients: Sequence[str],
) -> PacketResult:
    from irkit.packet.attach import attach
    from irkit.packet.document import lay_out
    from irkit.packet.sections import story

    facts = completed(facts)
    result = assess(case, facts=facts) if case.writable else evaluate(case, facts)
    facts = result.facts
    last = latest(case)
    _check_phase(case, phase, last)
    _gate(case, phase, facts, result, out)
    packet = _numbered(case, facts, result, phase, last)
    data = packet.as_json()
    digest = hashlib.sha256(data).hexdigest()
    texts = annexes(case, packet, digest)
    fact_texts = {key: shown(value, result.zone) for key, value in facts.values.items()}
    own = [fact_texts[key] for key in sorted(CONTACT_KEYS) if key in fact_texts]
    # Data and annexes first, so that a leak is found before the pages are drawn.
    known = known_values(case)
    plain_texts = {JSON: data.decode("utf-8"), **texts, SCHEDULE: cells(texts[SCHEDULE])}
    first = selfscan(known, plain_texts, own_contacts=own, facts=fact_texts)
    pages = lay_out(lambda: story(packet, digest, paper), packet.head, digest, paper)
    pdf = attach(pages, data, packet.head)
    scan = selfscan(known, pdf_texts(pdf), own_contacts=own, facts=fact_texts).with_earlier(first)
    files: dict[str, bytes] = {PDF: pdf, JSON: data}
    files |= {name: text.encode("utf-8", "replace") for name, text in sorted(texts.items())}
    files[PDF + ".sha256"] = f"{hashlib.sha256(pdf).hexdigest()}  {PDF}\n".encode()
    files[MANIFEST] = _manifest(files)
    written = _write(out, {**files, TEMPLATE: template(facts, phase).encode()})
    if schedule_recipients:
        written = [*written, *_write(out, _schedule(case, schedule_recipients))]
    frozen = _freeze(case, packet, files, last) if case.writable else None
    if case.writable:
        case.custody.append(
            "packet",
            phase=phase.value,
            number=packet.head.number,
            packet_json_sha256=digest,
            packet_pdf_sha256=hashlib.sha256(pdf).hexdigest(),
            draft=packet.head.draft,
            selfscan=scan.words(),
        )
    return PacketResult(
        pdf=out / PDF,
        json=out / JSON,
        files=tuple(written),
        frozen=frozen,
        phase=phase.value,
        number=packet.head.number,
        sha256=digest,
        draft=packet.head.draft,
        missing=tuple(f"{g.field.label} ({g.field.key})" for g in completeness(facts, phase)),
        scan=scan,
    )


def _schedule(case: Case, recipients: Sequence[str]) -> dict[str, bytes]:
    from irkit.packet.schedule import FILE, encrypted_schedule

    body = encrypted_schedule(case, recipients)
    digest = hashlib.sha256(body).hexdigest()
    if case.writable:
        case.custody.append("schedule", sha256=digest, recipients=list(recipients))
    return {FILE: body, FILE + ".sha256": f"{digest}  {FILE}\n".encode()}


# -- gates --------------------------------------------------------------------------------------


def _check_phase(case: Case, phase: Phase, last: _Frozen | None) -> None:
    if phase is Phase.WITHDRAWN and not any(not packet.draft for packet in _chain(case)):
        raise UsageError(
            "there is nothing to withdraw: this case has no signed packet",
            "a draft that was never sent needs no withdrawal",
        )
    if last is None or last.draft:
        return
    if last.phase == Phase.WITHDRAWN.value:
        if phase not in (Phase.PRELIMINARY, Phase.WITHDRAWN):
            raise UsageError(
                f"the notification of this case was withdrawn by packet {last.number:03d}",
                "a new notification begins with a preliminary packet",
            )
        return
    if phase is Phase.PRELIMINARY and last.phase != Phase.PRELIMINARY.value:
        raise UsageError(
            f"this case already has a signed {last.phase} packet, {last.number:03d}",
            "build a supplementary or complete one for what changed since",
        )


def _gate(case: Case, phase: Phase, facts: Facts, result: Assessment, out: Path) -> None:
    missing = []
    if phase in (Phase.COMPLETE, Phase.WITHDRAWN):
        missing = [g.field.key for g in completeness(facts, phase)]
    duty = next((o for o in result.obligations if o.rule.id == "gdpr-33-1"), None)
    target = duty.target if duty and duty.applies == "yes" else None
    late = ""
    # Art. 33(4): once the authority has heard in time, what follows in phases is not late.
    if (
        target is not None
        and phase is not Phase.WITHDRAWN
        and not facts.has("notification.delay_reasons")
    ):
        sent = (
            facts.instant("notification.first_submitted_at")
            or facts.instant("notification.submitted_at")
            or case.clock()
        )
        if sent > target.at_utc:
            missing.append("notification.delay_reasons")
            late = (
                f"; the limit of Art. 33(1) was {stamp(target.at_utc, result.zone)}, a later "
                "notification must state the reasons for the delay"
            )
    if not missing:
        return
    _write(out, {TEMPLATE: template(facts, phase).encode()})
    labels = ", ".join(f"{FIELD[key].label.lower()} ({key})" for key in missing)
    error = PacketIncomplete(
        f"the {phase.value} packet lacks {len(missing)} facts: {labels}{late}",
        f"fill {out / TEMPLATE} and give it with --facts",
    )
    error.missing = tuple(missing)  # type: ignore[attr-defined]
    raise error


# -- the chain ----------------------------------------------------------------------------------


def latest(case: Case) -> _Frozen | None:
    """The newest frozen packet of the case, or None."""
    rooms = _rooms(case)
    return _read(rooms[-1]) if rooms else None


def _rooms(case: Case) -> list[Path]:
    return sorted(
        p for p in (case.path / "packets").glob("[0-9][0-9][0-9]-*") if (p / JSON).is_file()
    )


def _chain(case: Case) -> list[_Frozen]:
    return [_read(room) for room in _rooms(case)]


def _read(room: Path) -> _Frozen:
    raw = (room / JSON).read_bytes()
    try:
        data = json.loads(raw)
        head = data["head"]
        return _Frozen(
            room,
            int(head["number"]),
            str(head["phase"]),
            bool(head["draft"]),
            hashlib.sha256(raw).hexdigest(),
            data,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{room / JSON}: is damaged", "restore it from a copy; the chain depends on it"
        ) from error


def _before(case: Case, number: int) -> _Frozen | None:
    older = [p for p in _rooms(case) if int(p.name[:3]) < number]
    return _read(older[-1]) if older else None


def _numbered(
    case: Case, facts: Facts, result: Assessment, phase: Phase, last: _Frozen | None
) -> Packet:
    """Compose under the right number: a draft of the same phase is replaced, a twin reused."""

    def made(number: int, before: _Frozen | None) -> Packet:
        link = {"number": before.number, "sha256": before.sha256} if before else None
        bare = compose(case, facts, result, phase=phase, number=number, previous=link)
        if before is None:
            return bare
        changes = changed(before.data, bare.as_dict())
        return compose(
            case, facts, result, phase=phase, number=number, previous=link, changes=changes
        )

    if last is None:
        return made(1, None)
    again = made(last.number, _before(case, last.number))
    if last.phase == phase.value and last.draft:
        return again
    if hashlib.sha256(again.as_json()).hexdigest() == last.sha256:
        return again
    return made(last.number + 1, last)


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Row]:
    """Fields whose value differs between two packets, in the form's order."""
    old = {row["key"]: row["value"] for row in before.get("facts", [])}
    rows = [
        {
            "key": row["key"],
            "label": row["label"],
            "before": old.get(row["key"], "not in the packet before"),
            "now": row["value"],
        }
        for row in now["facts"]
        if old.get(row["key"]) != row["value"]
    ]
    for name in ("severity", "risk"):
        a, b = before.get("summary", {}).get(name), now["summary"].get(name)
        if a != b:
            rows.append({"key": f"summary.{name}", "label": name, "before": str(a), "now": str(b)})
    return rows


def _freeze(case: Case, packet: Packet, files: Mapping[str, bytes], last: _Frozen | None) -> Path:
    room = case.path / "packets" / f"{packet.head.number:03d}-{packet.head.phase}"
    if last is not None and last.number == packet.head.number:
        if not last.draft and last.path == room:
            return room
        _thaw(last.path)
    _write(room, files)
    if not packet.head.draft:
        for path in room.iterdir():
            path.chmod(0o444)
    return room


def _thaw(room: Path) -> None:
    """Remove a draft that gives way to a newer build; its hashes stay in the custody log."""
    try:
        shutil.rmtree(room)
    except OSError as error:
        raise StorageError(f"{room}: cannot be replaced: {error.strerror}") from error


# -- files --------------------------------------------------------------------------------------


def _manifest(files: Mapping[str, bytes]) -> bytes:
    lines = [f"{hashlib.sha256(body).hexdigest()}  {name}" for name, body in sorted(files.items())]
    return ("\n".join(lines) + "\n").encode()


def _write(out: Path, files: Mapping[str, bytes]) -> Sequence[Path]:
    try:
        out.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, body in files.items():
            path = out / name
            if path.is_symlink():
                path.unlink()
            path.write_bytes(body)
            paths.append(path)
    except OSError as error:
        raise StorageError(f"{out}: cannot be written: {error.strerror}") from error
    return paths
