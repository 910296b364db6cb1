"""What the evidence shows beyond the counts, and where it ends: the most important first.

Both faces say these sentences: harm that no count of people holds (membership inference, gradients,
canaries), doubts about the evidence (silences, samples, cut and unread entries), and the limits of
the method.  Nothing is worked out here that the case does not hold already.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from irkit.case.views.linking import linkage
from irkit.case.views.silence import silences
from irkit.model import Stage

if TYPE_CHECKING:
    import duckdb

#: Key of the case's own note on how many planted values were looked for.
CANARIES = "canaries_planted"
#: Files named in one statement, at most.
_NAMED = 8


class Weight(StrEnum):
    """What a statement means for the person who reads it."""

    HARM = "harm"
    DOUBT = "doubt"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing that the evidence shows or cannot show.

    Attributes:
        weight: harm before doubt before note.
        topic: a word or two.
        brief: one line.
        full: whole sentences.
        place: screen that holds the detail.
        target: what is looked at there: a filter of exposures, or ``KIND:UNIT`` of an actor.
    """

    weight: Weight
    topic: str
    brief: str
    full: str
    place: str
    target: str = ""


def standing(con: duckdb.DuckDBPyConnection) -> tuple[Statement, ...]:
    """Return what a case shows beyond its counts, and where its evidence ends."""
    found = [
        *_membership(con),
        *_gradients(con),
        *_canaries(con),
        *_silences(con),
        *_sources(con),
        *_ties(con),
        *_notes(con),
        *_unverified(con),
        *_promise(con),
    ]
    order = list(Weight)
    # The sort is stable: within a weight, the order above holds.
    return tuple(sorted(found, key=lambda one: order.index(one.weight)))


def _has(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    """A case of an earlier version, opened for reading, lacks the newer tables."""
    return bool(
        con.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [table]).fetchall()
    )


def _plural(count: int, noun: str, more: str = "") -> str:
    return f"{count:,} {noun if count == 1 else more or noun + 's'}"


# -- harm ---------------------------------------------------------------------------------------

_GATE = {
    "exceeded": "above the release gate",
    "kept": "below the release gate",
    "undecided": "near the release gate",
}


def _membership(con: duckdb.DuckDBPyConnection) -> Iterator[Statement]:
    if not _has(con, "membership_harm"):
        return
    rows = con.execute(
        "SELECT h.detail, f.unit_kind, f.unit FROM membership_harm h JOIN finding f USING"
        " (finding_id) ORDER BY"
        " list_position(['campaign', 'credential', 'session', 'source_ip'], f.unit_kind), f.unit"
    ).fetchall()
    # A credential, its sessions and its address sent the same probes: each is said once.
    once: dict[str, tuple[dict[str, Any], str]] = {}
    for text, kind, unit in rows:
        detail = json.loads(text)
        once.setdefault(str(detail.get("sentence", "")), (detail, f"{kind}:{unit}"))
    measured = [pair for pair in once.values() if pair[0].get("status") == "measured"]
    measured.sort(key=lambda pair: (-_auc(pair[0])[1], pair[1]))
    if not measured:
        for detail, target in list(once.values())[:1]:
            yield Statement(
                Weight.NOTE,
                "Membership",
                f"not measurable: {detail.get('reason', 'no reason was kept')}",
                " ".join(once),
                "replay",
                target,
            )
        return
    detail, target = measured[0]
    value, low, high = _auc(detail)
    gate = detail["policy"]["verdict"]
    told = detail.get("members_told", {}).get("count", 0)
    members = int(detail["members"])
    certain = f", {told:,} of {members:,} members certain" if told else ""
    others = f"; {_plural(len(measured) - 1, 'weaker set')} of probes" if measured[1:] else ""
    sentences = []
    for one, actor in measured:
        count = one.get("members_told", {}).get("count", 0)
        sure = f" {count:,} of these members scored above every other." if count else ""
        kind, _, unit = actor.partition(":")
        whose = f"The scores given to {kind.replace('_', ' ')} {unit}"
        sentences.append(str(one["sentence"]).replace("The scores it was given", whose, 1) + sure)
    yield Statement(
        Weight.NOTE if gate == "kept" else Weight.HARM,
        "Membership",
        f"AUC {value:.2f} ({low:.2f} to {high:.2f}){certain}, {_GATE[gate]}{others}",
        " ".join(sentences),
        "replay",
        target,
    )


def _auc(detail: Mapping[str, Any]) -> tuple[float, float, float]:
    value, low, high = detail["statistics"][detail["headline"]]["auc"]
    return float(value), float(low), float(high)


def _gradients(con: duckdb.DuckDBPyConnection) -> Iterator[Statement]:
    if not _has(con, "gradient_artifact"):
        return
    rows = con.execute(
        "SELECT outcome, count(*) FROM gradient_artifact GROUP BY 1 ORDER BY 1"
    ).fetchall()
    if not rows:
        return
    sure, likely = con.execute(
        "SELECT count(DISTINCT doc_id) FILTER (sure), count(DISTINCT doc_id) FILTER (NOT sure"
        " AND doc_id NOT IN (SELECT doc_id FROM gradient_match WHERE sure)) FROM gradient_match"
    ).fetchone() or (0, 0)
    files = sum(int(number) for _, number in rows)
    classes = ", ".join(f"{number} {str(name).replace('_', ' ')}" for name, number in rows)
    more = f", {likely:,} more are likely" if likely else ""
    yield Statement(
        Weight.HARM if sure or likely else Weight.NOTE,
        "Gradients",
        f"{_plural(sure, 'training record')} identified in {_plural(files, 'file')}{more}",
        f"{_plural(files, 'file')}: {classes}; {sure:,} training records identified{more}",
        "exposures" if sure or likely else "evidence",
        "record~gradient:" if sure or likely else "",
    )


def _canaries(con: duckdb.DuckDBPyConnection) -> Iterator[Statement]:
    row = con.execute("SELECT value FROM meta WHERE key = ?", [CANARIES]).fetchone()
    planted = int(row[0]) if row else 0
    seen, answers = con.execute(
        "SELECT count(DISTINCT value_hash), count(DISTINCT record_id) FROM entity"
        " WHERE entity_type = 'CANARY' AND provenance = 'memorised'"
    ).fetchone() or (0, 0)
    if not planted and not seen:
        return
    if not seen:
        told = f"none of {_plural(planted, 'planted value')} came out"
        yield Statement(
            Weight.NOTE,
            "Canaries",
            told,
            f"{told[0].upper()}{told[1:]}; that rules nothing out about other training data.",
            "exposures",
        )
        return
    of = f"{seen:,} of {_plural(planted, 'planted value')}" if planted else f"{seen:,} planted"
    told = f"{of} came out, in {_plural(answers, 'answer')}"
    yield Statement(
        Weight.HARM,
        "Canaries",
        told,
        f"{told}: they stand in the training data and nowhere else, so the answers come from it,"
        " whatever corpus was given. They are nobody's data and count as no person.",
        "exposures",
        "type=CANARY",
    )


# -- doubts about the evidence --------------------------------------------------------------------


def _silences(con: duckdb.DuckDBPyConnection) -> Iterator[Statement]:
    gaps = silences(con)
    if not gaps:
        return
    longest = max(gaps, key=lambda gap: gap.until - gap.since)
    hours = (longest.until - longest.since).total_seconds() / 3600
    how = f"the longest {hours:,.0f} h from {longest.since:%Y-%m-%d %H:%M} UTC"
    yield Statement(
        Weight.DOUBT,
        "Silences",
        f"{_plural(len(gaps), 'silence')} in the logs, {how}",
        f"{_plural(len(gaps), 'silence')} in the logs that their own rhythm does not explain, {how}"
        f" to {longest.until:%Y-%m-%d %H:%M} UTC. Unlogged time is unknown, not clean.",
        "evidence",
    )


#: What a source may tell, by its capability, in words.
FIELDS = {
    "has_content": "texts",
    "has_credential": "credentials",
    "has_ip": "addresses",
    "has_logprobs": "log-probabilities",
    "has_params": "parameters",
    "has_session": "sessions",
    "has_status": "outcomes",
}


def _sources(con: duckdb.DuckDBPyConnection) -> Iterator[Statement]:
    rows = con.execute(
        "SELECT original_path, coalesce(records, 0), coalesce(quarantined, 0), capability"
        " FROM evidence_source ORDER BY source_id"
    ).fetchall()
    read = [(name, _object(text)) for name, records, _, text in rows if records]
    unread = sum(int(row[2]) for row in rows)
    if unread:
        entries = _plural(unread, "entry", "entries")
        names = _names([str(row[0]) for row in rows if row[2]])
        yield Statement(
            Weight.DOUBT,
            "Unread",
            f"{entries} could not be read: what they hold is not counted",
            f"{entries} of {names} could not be read; they are kept byte for byte, and what they"
            " hold is not counted.",
            "quarantine",
        )
    for topic, key, brief in (
        ("Sampled", "sampling", "{files} may hold only a sample of the calls"),
        ("Cut", "truncation", "texts are cut in {files}: what was cut off is not counted"),
        ("Withheld", "redaction", "texts are withheld in {files}: what they held is not counted"),
    ):
        told = [(name, str(fields[key])) for name, fields in read if fields.get(key)]
        if told:
            files = f"{len(told):,} of {_plural(len(rows), 'file')}"
            yield Statement(
                Weight.DOUBT,
                topic,
                brief.format(files=files),
                "; ".join(f"{_name(name)}: {words}" for name, words in told[:_NAMED])
                + (f"; and {len(told) - _NAMED:,} more files." if told[_NAMED:] else "."),
                "evidence",
            )
    lacking = {
        words: [name for name, fields in read if fields.get(key) is False]
        for key, words in FIELDS.items()
    }
    lacking = {words: names for words, names in lacking.items() if names}
    silent = [name for name, fields in read if fields.get("rows") and not fields["failed_calls"]]
    if lacking:
        parts = [f"{words} in {len(names):,}" for words, names in lacking.items()]
        yield Statement(
            Weight.NOTE,
            "Not logged",
            f"{', '.join(parts)} of {_plural(len(read), 'file')}",
            "; ".join(f"No {words} in {_names(names)}" for words, names in lacking.items()) + ".",
            "evidence",
        )
    if silent:
        yield Statement(
            Weight.NOTE,
            "Not logged",
            f"failed calls in {len(silent):,} of {_plural(len(read), 'file')}:"
            " refused attempts may be missing",
            f"No failed call in {_names(silent)}: refused attempts may be missing.",
            "evidence",
        )


def _object(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _name(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).name


def _names(paths: list[str]) -> str:
    more = f" and {len(paths) - _NAMED:,} more files" if paths[_NAMED:] else ""
    return ", ".join(map(_name, paths[:_NAMED])) + more


def _ties(con: duckdb.DuckDBPyConnection) -> Iterator[Statement]:
    ties = linkage(con)
    if ties.filled_by_time:
        calls = _plural(ties.filled_by_time, "call")
        yield Statement(
            Weight.DOUBT,
            "Attribution",
            f"{calls} got key or address by time from an access log: likely, not proven",
            f"{calls} got their credential or address from an access log that shares no id with"
            " them, by time and token counts: such an attribution is likely, not proven.",
            "evidence",
        )
    lost = sum(number for name, number in ties.bodies.items() if name != "found")
    if lost:
        yield Statement(
            Weight.DOUBT,
            "Missing",
            f"{_plural(lost, 'text')} kept in objects that are not in the evidence",
            f"{_plural(lost, 'text')} of calls kept in separate objects that are not preserved, or"
            " cannot be told apart or read; what they held is not counted.",
            "evidence",
        )
    if ties.unlinked_access:
        calls = _plural(ties.unlinked_access, "call")
        yield Statement(
            Weight.DOUBT,
            "Content",
            f"of {calls} only the access log is there: asked and answered what is unknown",
            f"For {calls} only the access log was preserved: who called is known, what was asked"
            " and answered is not.",
            "evidence",
        )


# -- limits of the method -------------------------------------------------------------------------


def _notes(con: duckdb.DuckDBPyConnection) -> Iterator[Statement]:
    row = con.execute(
        "SELECT detail FROM stage_progress WHERE stage = ? AND item = 'scope'", [Stage.SCOPE.value]
    ).fetchone()
    for note in _object(row[0] if row else None).get("notes", ()):
        # Doubts about the corpus decide whether anything is ruled out at all.
        doubt = note.startswith("no training corpus") or "is not the corpus" in note
        words = f"{str(note)[:1].upper()}{str(note)[1:]}"
        yield Statement(Weight.DOUBT if doubt else Weight.NOTE, "Limit", words, words, "exposures")


def _unverified(con: duckdb.DuckDBPyConnection) -> Iterator[Statement]:
    row = con.execute("SELECT count(*) FROM exposure WHERE provenance = 'unverified'").fetchone()
    if row and row[0]:
        passages = _plural(int(row[0]), "passage")
        passages += " is" if row[0] == 1 else " are"
        yield Statement(
            Weight.NOTE,
            "Unverified",
            f"{passages} in neither corpus nor context: the maximum alone counts them",
            f"{passages} in neither corpus nor context: invented look-alikes, or a corpus that"
            " is incomplete. Only the maximum counts them.",
            "exposures",
            "provenance=unverified",
        )


def _promise(con: duckdb.DuckDBPyConnection) -> Iterator[Statement]:
    kept = dict(
        con.execute("SELECT key, value FROM calibration WHERE key IN ('promise', 'baseline')")
        .fetchall()
    )  # fmt: skip
    promise, baseline = _object(kept.get("promise")), _object(kept.get("baseline"))
    words = str(promise.get("text") or "")
    if not words:
        return
    # The first sentence promises, the others say under which conditions.
    brief = words.partition(". ")[0].rstrip(".")
    if words.startswith("Of ordinary actors") and promise.get("alpha"):
        generic = baseline.get("kind") == "generic"
        whom = "by simulated actors, not this service's own" if generic else "by the calibration"
        brief = f"at most {promise['alpha']:.2%} of ordinary actors are flagged, {whom}"
    yield Statement(Weight.NOTE, "Promise", brief, words, "actors")
