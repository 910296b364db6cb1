"""Small named queries whose answers irkit attaches to playbook steps by itself.

A collector returns a sentence of counts, hashes and ids; it never returns an exposed value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from irkit.errors import EvidenceMismatch, UsageError
from irkit.playbook import exposed

if TYPE_CHECKING:
    from irkit.case import Case


@dataclass(frozen=True, slots=True)
class Collected:
    """One piece of evidence attached to a step."""

    name: str
    label: str
    text: str


def _one(case: Case, sql: str) -> tuple[object, ...]:
    rows = case.rows(sql)
    return rows[0] if rows else ()


def _evidence(case: Case) -> str:
    files, size, good, bad, open_ = _one(
        case,
        "SELECT count(*), coalesce(sum(bytes), 0), count(*) FILTER (WHERE state = 'verified'),"
        " count(*) FILTER (WHERE state = 'mismatch'),"
        " count(*) FILTER (WHERE state = 'unverifiable') FROM evidence_source",
    )
    if not files:
        return "no evidence preserved yet"
    return f"{files} files, {size} bytes: {good} verified, {bad} mismatch, {open_} unverifiable"


def _hashes(case: Case) -> str:
    rows = case.rows("SELECT source_id, sha256 FROM evidence_source ORDER BY source_id LIMIT 6")
    total = int(case.rows("SELECT count(*) FROM evidence_source")[0][0])
    words = ", ".join(f"#{number} {digest[:16]}" for number, digest in rows)
    return f"SHA-256 {words}" + (f" and {total - 6} more" if total > 6 else "") if rows else "none"


def _custody(case: Case) -> str:
    try:
        number, head = case.custody.verify()
    except EvidenceMismatch as error:
        return f"BROKEN: {error.hint or 'the chain does not verify'}"
    return f"{number} entries, head {head[:16]}"


def _accounting(case: Case) -> str:
    entries, records, blanks, quarantined = _one(
        case,
        "SELECT coalesce(sum(entries), 0), coalesce(sum(records), 0), coalesce(sum(blanks), 0),"
        " coalesce(sum(quarantined), 0) FROM evidence_source",
    )
    return f"{entries} entries: {records} records, {blanks} blank, {quarantined} quarantined"


def _capabilities(case: Case) -> str:
    lacks: dict[str, int] = {}
    sources = exposed.coverage(case)
    for source in sources:
        capability = source["capability"]
        if isinstance(capability, dict):
            for name, value in capability.items():
                if name.startswith("has_") and value is False:
                    lacks[name] = lacks.get(name, 0) + 1
    if not sources:
        return "no source read yet"
    if not lacks:
        return f"{len(sources)} sources; no missing field recorded"
    words = ", ".join(f"{n.removeprefix('has_')} in {c}" for n, c in sorted(lacks.items()))
    return f"{len(sources)} sources; not logged: {words}"


def _gaps(case: Case) -> str:
    found = exposed.gaps(case)
    if not found:
        return "no unusual silence"
    longest = max(found, key=lambda g: g[1] - g[0])
    hours = (longest[1] - longest[0]).total_seconds() / 3600
    return f"{len(found)} unusual silences, the longest {hours:.0f} h: unknown time"


def _models(case: Case) -> str:
    rows = exposed.models(case)
    if not rows:
        return "no exposing response yet"
    words = [
        " ".join(filter(None, (m["model"], m["version"], m["fingerprint"]))) or "not logged"
        for m in rows[:5]
    ]
    return "served while data came out: " + "; ".join(words)


def _fingerprint_changes(case: Case) -> str:
    row = _one(
        case,
        "SELECT count(DISTINCT model_version), count(DISTINCT system_fingerprint),"
        " count(*) FILTER (WHERE model_version IS NULL AND system_fingerprint IS NULL), count(*)"
        " FROM query_record WHERE duplicate_of IS NULL",
    )
    return (
        f"{row[0]} versions and {row[1]} fingerprints in the logs; "
        f"{row[2]} of {row[3]} records name neither"
    )


def _findings(case: Case) -> str:
    rows = case.rows(
        "SELECT tier, unit_kind, count(DISTINCT unit) FROM finding GROUP BY ALL ORDER BY ALL"
    )
    words = ", ".join(f"{n} {kind.replace('_', ' ')} in tier {t}" for t, kind, n in rows)
    return words or "no findings"


def _techniques(case: Case) -> str:
    found: dict[str, set[str]] = {}
    for f in exposed.actors(exposed.findings(case)):
        found.setdefault(f.technique.replace("_", " "), set()).add(f.unit)
    return ", ".join(f"{t}: {len(u)}" for t, u in sorted(found.items())) or "none in tiers A, B"


def _provenance(case: Case) -> str:
    rows = case.rows("SELECT provenance, count(*) FROM exposure GROUP BY 1 ORDER BY 1")
    return ", ".join(f"{n} {p}" for p, n in rows) or "no exposures"


def _window(case: Case) -> str:
    found = exposed.window(case)
    if not found.first or not found.last:
        return "no confirmed exposure"
    return (
        f"{found.first:%Y-%m-%d %H:%M} to {found.last:%Y-%m-%d %H:%M} UTC: {found.requests} "
        f"responses, {found.credentials} accounts, {found.addresses} addresses"
    )


def _people(case: Case) -> str:
    people, records = exposed.people(case), exposed.records(case)
    if people is None:
        return "not counted yet"
    words = f"people {people.min} / {people.best} / {people.max} (min / best / max)"
    if records:
        words += f"; records {records.min} / {records.best} / {records.max}"
    return words


def _special(case: Case) -> str:
    row = _one(
        case,
        "SELECT count(*) FILTER (WHERE special_category), count(*) FILTER (WHERE child), count(*)"
        " FROM subject WHERE status IN ('confirmed', 'probable')",
    )
    return f"{row[0]} with special categories, {row[1]} children, of {row[2]} people"


def _countries(case: Case) -> str:
    found = exposed.countries(case)
    total = int(case.rows("SELECT count(*) FROM subject WHERE status <> 'unverified'")[0][0])
    known = int(
        case.rows(
            "SELECT count(*) FROM subject WHERE status <> 'unverified' AND len(countries) > 0"
        )[0][0]
    )
    words = ", ".join(f"{c} {n}" for c, n in found.items()) or "no country known"
    return f"{words}; unknown for {total - known} of {total}"


def _reviews(case: Case) -> str:
    row = _one(
        case,
        "SELECT count(DISTINCT exposure_id) FILTER (WHERE verdict LIKE 'confirm%'),"
        " count(DISTINCT exposure_id) FILTER (WHERE verdict LIKE 'reject%'),"
        " (SELECT count(*) FROM exposure) FROM review",
    )
    return f"{row[0]} confirmed, {row[1]} rejected by a reviewer, of {row[2]} exposures"


def _template_spread(case: Case) -> str:
    spread = exposed.template_spread(case)
    words = ", ".join(f"{name} {number}" for name, number in spread.families[:4])
    return f"proposal: {spread.proposal} ({spread.reason})" + (f"; {words}" if words else "")


def _corpus(case: Case) -> str:
    row = _one(case, "SELECT count(*), count(DISTINCT source), sum(chars) FROM corpus_doc")
    if not row or not row[0]:
        return "no training corpus given: scope rests on output alone"
    return f"{row[0]} documents in {row[1]} files, {int(str(row[2] or 0))} characters"


def _severity(case: Case) -> str:
    row = _one(case, "SELECT max(se_low), max(se_high), count(*) FROM severity")
    if not row or not row[2]:
        return "not assessed yet: irkit assess"
    return f"ENISA SE {row[0]:g} to {row[1]:g} over {row[2]} groups"


def _duties(case: Case) -> str:
    rows = case.rows("SELECT applies, count(*) FROM obligation GROUP BY 1 ORDER BY 1 DESC")
    return ", ".join(f"{n} {a}" for a, n in rows) or "not assessed yet: irkit assess"


def _recipients(case: Case) -> str:
    rows = exposed.recipients(case, 3)
    found = exposed.window(case)
    words = "; ".join(f"{who[:24]} ({n} responses)" for who, n, _ in rows)
    return f"{found.credentials} credentials received data" + (f": {words}" if words else "")


def _scalars(case: Case) -> str:
    row = _one(
        case,
        "SELECT count(*) FILTER (WHERE scalars_returned > 0), coalesce(sum(scalars_returned), 0),"
        " count(*) FILTER (WHERE echo) FROM query_record WHERE duplicate_of IS NULL",
    )
    return f"{row[0]} responses carried {row[1]} probabilities; echo used in {row[2]} requests"


def _packets(case: Case) -> str:
    rooms = sorted(p.name for p in (case.path / "packets").glob("[0-9]*") if p.is_dir())
    return ", ".join(rooms) or "no packet built yet"


COLLECTORS: dict[str, tuple[str, Callable[[Case], str]]] = {
    "evidence": ("Preserved files", _evidence),
    "hashes": ("Hashes", _hashes),
    "custody": ("Custody log", _custody),
    "accounting": ("Ingest accounting", _accounting),
    "capabilities": ("What the logs lack", _capabilities),
    "gaps": ("Silences", _gaps),
    "models": ("Models", _models),
    "versions": ("Versions in the logs", _fingerprint_changes),
    "findings": ("Flagged units", _findings),
    "techniques": ("Techniques", _techniques),
    "provenance": ("Exposures by provenance", _provenance),
    "window": ("Exposure window", _window),
    "people": ("People and records", _people),
    "special": ("Special groups", _special),
    "countries": ("Residence", _countries),
    "reviews": ("Reviews", _reviews),
    "template_spread": ("Spread of leaking prompts", _template_spread),
    "corpus": ("Training corpus", _corpus),
    "severity": ("Severity", _severity),
    "duties": ("Duties", _duties),
    "recipients": ("Recipients", _recipients),
    "scalars": ("Side channels", _scalars),
    "packets": ("Packets", _packets),
}


def collect(case: Case, name: str) -> Collected:
    """Run one collector.

    Raises:
        UsageError: there is no collector of that name.
    """
    if name not in COLLECTORS:
        raise UsageError(f"no collector '{name}'", "known: " + ", ".join(COLLECTORS))
    label, run = COLLECTORS[name]
    return Collected(name, label, run(case))


# -- checks that gates rest on ------------------------------------------------------------------


def _true(case: Case, sql: str) -> bool:
    return bool(case.rows(sql)[0][0])


def _custody_ok(case: Case) -> bool:
    try:
        return case.custody.verify()[0] > 0
    except EvidenceMismatch:
        return False


CHECKS: dict[str, tuple[str, Callable[[Case], bool]]] = {
    "has_evidence": (
        "no evidence preserved yet (irkit preserve)",
        lambda c: _true(c, "SELECT count(*) > 0 FROM evidence_source"),
    ),
    "evidence_verified": (
        "not every preserved file is verified (irkit verify)",
        lambda c: _true(
            c, "SELECT count(*) > 0 AND bool_and(state = 'verified') FROM evidence_source"
        ),
    ),
    "custody_intact": ("the custody log does not verify", _custody_ok),
    "ingested": (
        "no query records read yet (irkit preserve)",
        lambda c: _true(c, "SELECT count(*) > 0 FROM query_record"),
    ),
    "accounted": (
        "entries, records, blanks and quarantine do not add up",
        lambda c: _true(
            c,
            "SELECT count(*) > 0 AND bool_and(entries >= blanks + quarantined)"
            " FROM evidence_source WHERE entries IS NOT NULL",
        ),
    ),
    "scoped": (
        "not scoped yet (irkit scope)",
        lambda c: (
            _true(
                c,
                "SELECT count(*) > 0 FROM stage_progress WHERE stage = 'scope' AND status = 'done'",
            )
            or _true(c, "SELECT count(*) > 0 FROM exposure")
        ),
    ),
    "has_exposures": (
        "no exposure in the case",
        lambda c: exposed.window(c).exposures > 0,
    ),
    "has_corpus": (
        "no training corpus given (irkit scope --corpus)",
        lambda c: _true(c, "SELECT count(*) > 0 FROM corpus_doc"),
    ),
    "assessed": (
        "not assessed yet (irkit assess)",
        lambda c: _true(c, "SELECT count(*) > 0 FROM obligation"),
    ),
    "has_packet": (
        "no packet built yet (irkit notify)",
        lambda c: any((c.path / "packets").glob("[0-9]*")),
    ),
}
