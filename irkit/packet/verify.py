"""Checking a packet without the case: hashes, embedded data, structure, chain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from irkit.errors import UsageError
from irkit.packet.build import JSON, MANIFEST, PDF
from irkit.packet.sign import signature_state


@dataclass(frozen=True, slots=True)
class Check:
    """One check; ``ok`` None means that it could not be made (unverifiable), never that it held."""

    name: str
    ok: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """All checks of one packet."""

    path: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """True where no check failed and the embedded data could be checked."""
        return all(c.ok is not False for c in self.checks) and any(c.ok for c in self.checks)

    def lines(self) -> list[str]:
        """One line per check."""
        word = {True: "verified", False: "MISMATCH", None: "unverifiable"}
        return [f"{word[c.ok]:<13} {c.name}: {c.detail}" for c in self.checks]


def verify_packet(path: Path) -> VerifyResult:
    """Check a packet directory or a packet PDF.

    Checks: the manifest of all files, the side-car hash of the PDF, the JSON inside the PDF
    against the JSON beside it, its structure against irkit's schema, the hash printed on the
    pages, and the link to the packet before where that lies in the same case.

    Raises:
        UsageError: there is no packet at the path.
    """
    room = path if path.is_dir() else path.parent
    pdf_path = path / PDF if path.is_dir() else path
    if not pdf_path.is_file():
        raise UsageError(f"{path}: no packet here", f"give a packet's PDF or its directory ({PDF})")
    try:
        pdf = pdf_path.read_bytes()
    except OSError as error:
        raise UsageError(f"{pdf_path}: cannot be read: {error.strerror}") from error
    checks = [_sidecar(pdf_path, pdf)]
    if pdf_path.name == PDF:
        checks.append(_manifest(room))
    from irkit.packet.attach import embedded_json

    inside = embedded_json(pdf)
    if inside is None:
        checks.append(Check("embedded data", False, "the PDF carries no readable packet.json"))
        return VerifyResult(str(path), tuple(checks))
    digest = hashlib.sha256(inside).hexdigest()
    beside = room / JSON
    if pdf_path.name == PDF and beside.is_file():
        same = beside.read_bytes() == inside
        detail = f"sha256 {digest}" if same else "differs from packet.json beside the PDF"
        checks.append(Check("embedded data", same, detail))
    else:
        checks.append(Check("embedded data", None, f"sha256 {digest}; no packet.json beside it"))
    checks.append(_printed(pdf, digest))
    state, words = signature_state(pdf)
    if words != "not signed":
        checks.append(Check("signature", state, words))
    data = _parse(inside)
    checks.append(_structure(data))
    if data is not None:
        checks.append(_chain(room, data))
    return VerifyResult(str(path), tuple(checks))


def _sidecar(pdf_path: Path, pdf: bytes) -> Check:
    side = pdf_path.with_name(pdf_path.name + ".sha256")
    digest = hashlib.sha256(pdf).hexdigest()
    if not side.is_file():
        return Check("PDF hash", None, f"no side-car file; sha256 is {digest}")
    claimed = side.read_text("utf-8", "replace").split()
    ok = bool(claimed) and claimed[0] == digest
    return Check("PDF hash", ok, f"sha256 {digest}" + ("" if ok else ", side-car says otherwise"))


def _manifest(room: Path) -> Check:
    path = room / MANIFEST
    if not path.is_file():
        return Check("manifest", None, "no manifest beside the packet")
    bad, number = [], 0
    for line in path.read_text("utf-8", "replace").splitlines():
        claimed, _, name = line.partition("  ")
        number += 1
        file = room / name
        # A manifest may only speak of files in its own directory.
        if "/" in name or "\\" in name or not name or not file.is_file():
            bad.append(name or "?")
        elif hashlib.sha256(file.read_bytes()).hexdigest() != claimed:
            bad.append(name)
    if bad:
        return Check("manifest", False, "missing or changed: " + ", ".join(bad[:6]))
    return Check("manifest", number > 0, f"{number} files unchanged")


def _printed(pdf: bytes, digest: str) -> Check:
    from irkit.packet.gate import pdf_texts

    try:
        texts = pdf_texts(pdf)
    except Exception:
        # A damaged PDF can fail in many ways inside the reader; all mean the same here.
        return Check("printed hash", False, "the pages cannot be read")
    pages = [text for name, text in texts.items() if " page " in name]
    missing = [i for i, text in enumerate(pages, 1) if digest[:16] not in text.replace("\n", "")]
    if missing:
        return Check("printed hash", False, f"pages {missing[:5]} do not carry {digest[:16]}")
    return Check("printed hash", True, f"{digest[:16]} on all {len(pages)} pages")


def _parse(raw: bytes) -> Mapping[str, Any] | None:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def schema() -> dict[str, Any]:
    """Return the published JSON Schema of ``packet.json``."""
    text = (resources.files("irkit.packet") / "packet.schema.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _structure(data: Mapping[str, Any] | None) -> Check:
    if data is None:
        return Check("structure", False, "packet.json is no JSON object")
    problems = conforms(data, schema())
    if problems:
        return Check("structure", False, "; ".join(problems[:3]))
    return Check("structure", True, f"{data['schema']} version {data['schema_version']}")


_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None),
}  # fmt: skip


def conforms(value: Any, rule: Mapping[str, Any], at: str = "$") -> list[str]:
    """Problems of a value against the part of JSON Schema that irkit's own schema uses.

    Keywords: type, const, enum, required, properties, additionalProperties (false or a schema),
    items, pattern-free.  The full schema can be checked with any JSON Schema validator.
    """
    problems: list[str] = []
    kinds = rule.get("type")
    if kinds is not None:
        names = kinds if isinstance(kinds, list) else [kinds]
        if not any(_is(value, name) for name in names):
            return [f"{at}: not {' or '.join(names)}"]
    if "const" in rule and value != rule["const"]:
        problems.append(f"{at}: not {rule['const']!r}")
    if "enum" in rule and value not in rule["enum"]:
        problems.append(f"{at}: not one of {rule['enum']}")
    if isinstance(value, dict):
        known = rule.get("properties", {})
        problems += [
            f"{at}: lacks {name}" for name in rule.get("required", []) if name not in value
        ]
        for name, item in value.items():
            if name in known:
                problems += conforms(item, known[name], f"{at}.{name}")
            elif rule.get("additionalProperties") is False:
                problems.append(f"{at}: unknown {name}")
            elif isinstance(rule.get("additionalProperties"), dict):
                problems += conforms(item, rule["additionalProperties"], f"{at}.{name}")
    if isinstance(value, list) and "items" in rule:
        for i, item in enumerate(value):
            problems += conforms(item, rule["items"], f"{at}[{i}]")
    return problems


def _is(value: Any, name: str) -> bool:
    if name in ("number", "integer"):
        number = isinstance(value, int) or (name == "number" and isinstance(value, float))
        return number and not isinstance(value, bool)
    return isinstance(value, _TYPES[name])


def _chain(room: Path, data: Mapping[str, Any]) -> Check:
    head = data.get("head")
    previous = head.get("previous") if isinstance(head, dict) else None
    if not isinstance(previous, dict):
        return Check("chain", True, "first packet of its case")
    number = previous.get("number")
    if not isinstance(number, int):
        return Check("chain", False, "the link to the packet before is damaged")
    found = sorted(room.resolve().parent.glob(f"{number:03d}-*/{JSON}"))
    if not found:
        return Check("chain", None, f"packet {number:03d} does not lie beside this one")
    ok = hashlib.sha256(found[0].read_bytes()).hexdigest() == previous.get("sha256")
    return Check("chain", ok, f"packet {number:03d} " + ("matches" if ok else "was changed"))
