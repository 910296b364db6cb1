"""Indicators as a STIX 2.1 bundle with deterministic ids; no data of the people concerned.

Plain dictionaries instead of a library: the objects are few, and ids must not be random.
"""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from irkit import __version__
from irkit.model import TECHNIQUE_TAGS, Technique
from irkit.playbook import exposed
from irkit.playbook.plain import plain

if TYPE_CHECKING:
    from irkit.case import Case

#: Name space of irkit's deterministic ids: a case gives the same bundle every time.
NAMESPACE = uuid.UUID("5e1f1b1e-6e0b-5c0a-9a57-1f6d7c1f2a10")

#: STIX 2.1's own fixed TLP:AMBER marking.
TLP_AMBER = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"

_MITIGATIONS = (
    ("AML.M0004", "Restrict the number of model queries"),
    ("AML.M0002", "Passive output obfuscation: no token probabilities"),
    ("AML.M0019", "Control access to the model in production"),
)


def bundle(case: Case) -> dict[str, Any]:
    """Build the bundle: identity, incident, attack patterns, indicators, courses of action, report.

    Times are the case's own clock, so that the same case gives the same bytes.
    """
    now = case.clock().strftime("%Y-%m-%dT%H:%M:%S.000Z")
    seed = case.meta("created_at") + "|" + case.title
    common = {
        "created": now,
        "modified": now,
        "object_marking_refs": [TLP_AMBER],
        "spec_version": "2.1",
    }

    def make(kind: str, key: str, **values: Any) -> dict[str, Any]:
        found = {
            "type": kind,
            "id": f"{kind}--{uuid.uuid5(NAMESPACE, f'{seed}|{kind}|{key}')}",
            **common,
            **values,
        }
        return {k: v for k, v in found.items() if v not in (None, [], "")}

    author = make(
        "identity", "author", name=f"irkit {__version__}", identity_class="system",
        description="Prepared with irkit from preserved inference logs.",
    )  # fmt: skip
    common["created_by_ref"] = author["id"]
    window = exposed.window(case)
    incident = make(
        "incident", "incident", name=plain(case.title) or "incident",
        description=f"Extraction of training data: {window.requests} exposing responses.",
        labels=["synthetic"] if case.synthetic else [],
    )  # fmt: skip
    objects: list[dict[str, Any]] = [_marking(), author, incident]
    patterns = {}
    found = exposed.findings(case)
    for technique in sorted({f.technique for f in found if f.technique in set(Technique)}):
        tags = TECHNIQUE_TAGS[Technique(technique)]
        patterns[technique] = make(
            "attack-pattern", technique, name=technique.replace("_", " "),
            external_references=[
                {"source_name": "mitre-atlas", "external_id": tag} for tag in tags.atlas
            ],
        )  # fmt: skip
    objects += patterns.values()
    indicators = list(_indicators(case, found, make, now))
    objects += [indicator for indicator, _ in indicators]
    for indicator, technique in indicators:
        if technique in patterns:
            objects.append(
                make(
                    "relationship",
                    indicator["id"] + technique,
                    relationship_type="indicates",
                    source_ref=indicator["id"],
                    target_ref=patterns[technique]["id"],
                )
            )
    actions = [
        make(
            "course-of-action", tag, name=words,
            external_references=[{"source_name": "mitre-atlas", "external_id": tag}],
        )
        for tag, words in _MITIGATIONS
    ]  # fmt: skip
    objects += actions
    objects += [
        make(
            "relationship", action["id"] + pattern["id"], relationship_type="mitigates",
            source_ref=action["id"], target_ref=pattern["id"],
        )
        for action in actions
        for pattern in patterns.values()
    ]  # fmt: skip
    refs = sorted(o["id"] for o in objects if o["type"] not in ("marking-definition",))
    objects.append(
        make(
            "report", "report", name=f"Extraction incident: {plain(case.title)}", published=now,
            report_types=["incident"], object_refs=refs,
            description="No data of the people concerned is in this bundle.",
        )
    )  # fmt: skip
    return {
        "type": "bundle",
        "id": f"bundle--{uuid.uuid5(NAMESPACE, seed + '|bundle')}",
        "objects": objects,
    }


def _marking() -> dict[str, Any]:
    return {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": TLP_AMBER,
        "created": "2017-01-20T00:00:00.000Z",
        "definition_type": "tlp",
        "name": "TLP:AMBER",
        "definition": {"tlp": "amber"},
    }


def _indicators(
    case: Case, found: Iterable[exposed.FindingRow], make: Any, now: str
) -> Iterable[tuple[dict[str, Any], str]]:
    by_credential = {}
    for f in found:
        start = (f.onset or case.clock()).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        text = f"{f.technique.replace('_', ' ')}, tier {f.tier}, {f.queries} queries"
        pattern = None
        if f.unit_kind == "credential":
            pattern = f"[user-account:user_id = '{_escape(f.unit)}']"
            by_credential[f.unit] = f
        elif f.unit_kind == "source_ip":
            pattern = _address_pattern(f.unit)
        if pattern:
            yield (
                make(
                    "indicator", f.finding_id, name=f"flagged {f.unit_kind.replace('_', ' ')}",
                    description=text, indicator_types=["malicious-activity"], pattern=pattern,
                    pattern_type="stix", valid_from=start,
                ),
                f.technique,
            )  # fmt: skip
    # Addresses that flagged credentials used and that no other credential did.
    rows = case.rows(
        "SELECT client_ip, min(credential_id), min(event_time) FROM query_record WHERE client_ip"
        " IS NOT NULL GROUP BY client_ip HAVING bool_and(list_contains(?, credential_id))"
        " ORDER BY client_ip",
        [sorted(by_credential)],
    )
    seen = {f.unit for f in found if f.unit_kind == "source_ip"}
    for address, credential, first in rows:
        pattern = _address_pattern(str(address))
        if pattern and str(address) not in seen:
            at = exposed.utc(first)
            yield (
                make(
                    "indicator", f"ip {address}", name="address of flagged credentials",
                    indicator_types=["malicious-activity"], pattern=pattern,
                    pattern_type="stix",
                    valid_from=at.strftime("%Y-%m-%dT%H:%M:%S.000Z") if at else now,
                ),
                by_credential[str(credential)].technique,
            )  # fmt: skip


def _address_pattern(text: str) -> str | None:
    """Comparison pattern of an address or network; None where the log held something else."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    kind = "ipv4-addr" if network.version == 4 else "ipv6-addr"
    if network.num_addresses == 1:
        return f"[{kind}:value = '{network.network_address}']"
    return f"[{kind}:value ISSUBSET '{network}']"


def _escape(text: str) -> str:
    return plain(text).replace("\\", "\\\\").replace("'", "\\'")
