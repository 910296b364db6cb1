"""How a log format is declared: where its canonical fields live, and how a record is recognised.

A format is data, not code.  It names JSON paths (and, where a path is not enough, SQL expressions
over those names); :mod:`irkit.ingest.projection` turns the declaration into one SQL statement that
maps a whole block of records at once.  Adding a format means adding one file with a ``FORMAT`` (or
``FORMATS``) to :mod:`irkit.ingest.formats`, or an entry point in the group ``irkit.formats``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

#: One JSON path, or candidates of which the first present one wins.
Paths = str | tuple[str, ...]

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Capability(StrEnum):
    """What a source can tell; a detector that needs a missing one is not applicable."""

    IP = "has_ip"
    CREDENTIAL = "has_credential"
    SESSION = "has_session"
    CONTENT = "has_content"
    LOGPROBS = "has_logprobs"
    PARAMS = "has_params"
    STATUS = "has_status"


#: What people ask of a log, in the order in which the matrix of formats shows it.
FIELDS = (
    *("credential", "address", "session", "time", "params", "prompt", "answer", "logprobs"),
    *("tokens", "status", "latency"),
)
ANSWERS = {"y": "yes", "p": "partly", "n": "no"}

#: Every name a format or a mapping file may fill, with the SQL type it is read as.  ``JSON`` names
#: hold a JSON value as logged; a body in them may be double-encoded (a string that holds JSON).
TARGETS: Mapping[str, str] = {
    # time: ISO 8601 or a number whose magnitude tells seconds, ms, us, ns or .NET ticks
    "event_time": "VARCHAR",
    "event_time_end": "VARCHAR",
    # identity of the call
    "request_id": "VARCHAR",
    "provider_response_id": "VARCHAR",
    "correlation_id": "VARCHAR",
    "trace_id": "VARCHAR",
    "provider": "VARCHAR",
    "operation": "VARCHAR",
    "endpoint": "VARCHAR",
    "model_requested": "VARCHAR",
    "model_served": "VARCHAR",
    "model_version": "VARCHAR",
    "system_fingerprint": "VARCHAR",
    # who called
    "credential_id": "VARCHAR",
    "credential_kind": "VARCHAR",
    "principal_id": "VARCHAR",
    "end_user_id": "VARCHAR",
    "tenant_id": "VARCHAR",
    "session_id": "VARCHAR",
    "client_ip": "VARCHAR",
    "forwarded_for": "VARCHAR",
    "user_agent": "VARCHAR",
    # parameters, where they are not part of the request body
    "temperature": "DOUBLE",
    "top_p": "DOUBLE",
    "n": "INTEGER",
    "best_of": "INTEGER",
    "seed": "BIGINT",
    "max_tokens": "INTEGER",
    "stop": "JSON",
    "logprobs": "VARCHAR",
    "top_logprobs": "INTEGER",
    "echo": "BOOLEAN",
    "logit_bias": "JSON",
    "stream": "BOOLEAN",
    # content: whole bodies in any known dialect, or plain parts
    "request": "JSON",
    "response": "JSON",
    "messages": "JSON",
    "system": "VARCHAR",
    "prompt": "VARCHAR",
    "completion": "VARCHAR",
    # outcome
    "finish_reason": "VARCHAR",
    "input_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "scalars": "BIGINT",
    "status_code": "INTEGER",
    "outcome": "VARCHAR",
    "error_type": "VARCHAR",
    "latency_ms": "DOUBLE",
    "content_state": "VARCHAR",
    "record_kind": "VARCHAR",
    "tags": "JSON",
    "warning": "VARCHAR",
}


#: What in a declaration shows that a format tells a field.
_SIGNS: Mapping[str, tuple[Capability | None, frozenset[str]]] = {
    "credential": (Capability.CREDENTIAL, frozenset({"credential_id"})),
    "address": (Capability.IP, frozenset({"client_ip", "forwarded_for"})),
    "session": (Capability.SESSION, frozenset({"session_id"})),
    "time": (None, frozenset({"event_time", "event_time_end"})),
    "params": (Capability.PARAMS, frozenset({"request", "temperature", "max_tokens"})),
    "prompt": (Capability.CONTENT, frozenset({"request", "messages", "prompt"})),
    "answer": (Capability.CONTENT, frozenset({"response", "completion"})),
    "logprobs": (Capability.LOGPROBS, frozenset({"response"})),
    "tokens": (None, frozenset({"input_tokens", "output_tokens", "response"})),
    "status": (Capability.STATUS, frozenset({"status_code", "outcome"})),
    "latency": (None, frozenset({"latency_ms", "event_time_end"})),
}


#: Parse warning of a record whose body lies in an object of its own.
APART = "body_in_separate_object"


@dataclass(frozen=True, slots=True)
class Source:
    """Where the published shape of a format is described."""

    title: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    """Bodies that a producer keeps in an object of their own, which a record points to.

    The pointer comes out of a log, so it is never followed: it is only compared with the names of
    preserved files (:mod:`irkit.ingest.externals`).

    Attributes:
        pointer: JSON path of the object's key or address in a record, of plain names
            (``$.a.b``).
        fills: JSON path in the record to the JSON path, in the object, of what belongs there.
        names: regular expression (RE2) that whole paths of such objects match.
    """

    pointer: str
    fills: Mapping[str, str]
    names: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One log format.

    Attributes:
        id: stable name, stored with every record.
        title: name that people use.
        source: document the paths were taken from.
        order: rank among formats whose signatures both hold; lower wins.
        capabilities: what a complete source of this format tells.
        absent: sentence on what this format never tells.
        signature_paths: names for the signature, each a JSON path of the record.
        signature: SQL condition over the signature's names (values as text, NULL if missing).
        paths: names read as text.  A name out of :data:`TARGETS` fills that target directly.
        json_paths: names read as JSON.
        columns: target to SQL expression over all declared names, where a path is not enough.
        sampled: True where the producer may log only a share of the calls.
        failures_logged: False where failed calls leave no record, None where unknown.
        truncated_by: words that the producer leaves where it cut a text.
        redacted_as: text that the producer puts in place of content.
        answers_of: format whose records hold the requests to this format's responses, under the
            same ``correlation_id``.
        coverage: one letter per name in :data:`FIELDS`, in order: ``y`` told, ``p`` told only in
            part, only if configured or only by some producers, ``n`` never told.  Derived from the
            declaration where empty.
        unconfirmed: sentence on what in the shape was not confirmed in the producer's own
            documentation or code; empty where all of it was.
        part_order: JSON path of a record's part number, where long messages are cut over several
            records with the same ``correlation_id`` and ``request_id``.
        part_fields: JSON paths (``$.name``) of the texts that are cut.
        externals: bodies in objects of their own; records that lack one have the parse warning
            :data:`APART`.
        revised: True where a call is written again, under the same ``request_id``, as it goes on.
        whole_of: format of the calls that a record of this format sums up, under the same
            ``trace_id``; its texts count only where none of those calls is in the evidence.
    """

    id: str
    title: str
    source: Source
    order: int
    capabilities: frozenset[Capability]
    absent: str
    signature_paths: Mapping[str, Paths]
    signature: str
    paths: Mapping[str, Paths] = field(default_factory=dict)
    json_paths: Mapping[str, Paths] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    sampled: bool = False
    failures_logged: bool | None = None
    truncated_by: tuple[str, ...] = ()
    redacted_as: tuple[str, ...] = ()
    answers_of: str = ""
    coverage: str = ""
    unconfirmed: str = ""
    part_order: str = ""
    part_fields: tuple[str, ...] = ()
    externals: tuple[External, ...] = ()
    revised: bool = False
    whole_of: str = ""

    def __post_init__(self) -> None:
        """Reject a declaration that could not be compiled.

        Raises:
            ValueError: a name is no identifier, is declared twice, or is no known target.
        """
        for name in (self.id, *self.signature_paths, *self.paths, *self.json_paths, *self.columns):
            if not NAME.fullmatch(name):
                raise ValueError(f"format {self.id!r}: {name!r} is not a valid name")
        twice = set(self.paths) & set(self.json_paths)
        if twice:
            raise ValueError(f"format {self.id!r}: declared as text and as JSON: {sorted(twice)}")
        unknown = set(self.columns) - set(TARGETS)
        if unknown:
            raise ValueError(f"format {self.id!r}: not canonical columns: {sorted(unknown)}")
        if self.coverage and not re.fullmatch(f"[ypn]{{{len(FIELDS)}}}", self.coverage):
            raise ValueError(f"format {self.id!r}: coverage needs {len(FIELDS)} letters of y, p, n")

    def told(self) -> dict[str, str]:
        """Return ``yes``, ``partly`` or ``no`` per name in :data:`FIELDS`."""
        letters = self.coverage or "".join(self._guessed(name) for name in FIELDS)
        return {name: ANSWERS[letter] for name, letter in zip(FIELDS, letters, strict=True)}

    def _guessed(self, name: str) -> str:
        """Return a letter for a format that does not say: what it declares, it may tell."""
        declared = {*self.paths, *self.json_paths, *self.columns}
        capability, targets = _SIGNS[name]
        if capability is not None and capability in self.capabilities:
            return "y" if declared & targets else "p"
        return "p" if declared & targets else "n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A wrapper that carries several records, or one record as a string, in one entry.

    Attributes:
        id: stable name.
        title: name that people use.
        signature_paths: names for the signature.
        signature: SQL condition over the names.
        expand: SQL expression over ``line`` (the entry as JSON text) that returns a list of JSON
            texts, one per wrapped record; or, for encodings that SQL cannot express, a function
            from the text to that list (it may raise ValueError, and is called once per entry).
        order: rank among wrappers whose signatures both hold; lower wins.
        no_call: for entries that are known and hold no call to a model: the sentence that the
            quarantine row will say.
    """

    id: str
    title: str
    signature_paths: Mapping[str, Paths]
    signature: str
    expand: str | Callable[[str], list[str]]
    order: int = 100
    no_call: str = ""


def not_a_call(name: str, title: str, sentence: str, signature: str, /, **paths: Paths) -> Envelope:
    """Return the declaration of entries that are known, and hold no call to a model."""
    return Envelope(
        id=name,
        title=title,
        signature_paths=paths,
        signature=signature,
        expand="[]::VARCHAR[]",
        order=50,
        no_call=sentence,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLines:
    """Lines of plain text that hold one record each; they are read as JSON objects.

    Attributes:
        id: stable name; the object has it as ``text_line``.
        title: name that people use.
        pattern: regular expression (RE2) that whole lines of this kind match.
        names: one per group of the pattern: its member in the object.
        finish: turns the members into the object, where a pattern is not enough.  It may raise
            ValueError; the line then goes to quarantine.
    """

    id: str
    title: str
    pattern: str
    names: tuple[str, ...]
    finish: Callable[[dict[str, str]], dict[str, object]] | None = None


def first_of(paths: Paths) -> tuple[str, ...]:
    """Return the candidates of a path declaration in order."""
    return (paths,) if isinstance(paths, str) else paths


def literal(text: str) -> str:
    """Quote a text as a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
