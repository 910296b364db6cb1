"""The encrypted schedule: whom to contact, apart from the packet and for named recipients only.

The packet itself holds pseudonymous keys.  Names and contact routes come from the organisation's
own register of people and leave irkit only encrypted with age (https://age-encryption.org, by
``pyrage``); without it, or without a recipient, they are not included, and the schedule says so.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irkit.errors import UsageError
from irkit.playbook.plain import csv_safe

if TYPE_CHECKING:
    from irkit.case import Case

FILE = "subject_schedule.csv.age"
_ROUTES = ("EMAIL_ADDRESS", "PHONE_NUMBER")


def encrypted_schedule(case: Case, recipients: Sequence[str]) -> bytes:
    """Encrypt the contact schedule for age recipients (``age1...`` public keys).

    Columns are limited to what contacting people needs (GDPR Art. 5(1)(c)): key, name, contact
    routes, status.  Encryption is randomised, so these bytes differ from run to run.

    Raises:
        UsageError: ``pyrage`` is missing, a recipient is no age public key, or the case was scoped
            without a register of people.
    """
    try:
        pyrage: Any = import_module("pyrage")
    except ImportError as error:
        raise UsageError(
            "the encrypted schedule needs the package pyrage", "install irkit with the extra 'age'"
        ) from error
    keys = []
    for recipient in recipients:
        try:
            keys.append(pyrage.x25519.Recipient.from_str(recipient))
        except Exception as error:
            # The library raises its own unexported types; all mean the same here.
            raise UsageError(
                "a schedule recipient is no age public key", "it begins with age1"
            ) from error
    body: bytes = pyrage.encrypt(_schedule(case).encode("utf-8"), keys)
    return body


def _schedule(case: Case) -> str:
    register = _register(case)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("subject_key", "name", "email", "phone", "status"))
    for key, subject_id, status in case.rows(
        "SELECT subject_key, subject_id, status FROM subject ORDER BY subject_key"
    ):
        entry = register.get(str(subject_id), {})
        cells = (
            key,
            entry.get("name", "not in the register"),
            "; ".join(entry.get("EMAIL_ADDRESS", ())),
            "; ".join(entry.get("PHONE_NUMBER", ())),
            status,
        )
        # A telephone number begins with a plus; it is quoted like any cell, not dropped.
        writer.writerow([csv_safe(cell) for cell in cells])
    return stream.getvalue()


def _register(case: Case) -> dict[str, dict[str, Any]]:
    from irkit.scope.register import read_register

    path = json.loads(case.meta("scope_inputs", "{}")).get("subjects")
    if not path or not Path(path).is_file():
        raise UsageError(
            "the case was scoped without a register of people that can still be read",
            "give one: irkit scope CASE --subjects CSV",
        )
    register = read_register(Path(path))
    found: dict[str, dict[str, Any]] = {
        str(row["subject_id"]): {"name": row["name"] or ""}
        for row in register.people.iter_rows(named=True)
    }
    for row in register.identifiers.iter_rows(named=True):
        if row["entity_type"] in _ROUTES and row["subject_id"] in found:
            routes = found[row["subject_id"]].setdefault(row["entity_type"], [])
            if row["canonical"] not in routes:
                routes.append(row["canonical"])
    return found
