"""What kinds of data a passage holds: by entity types, by the corpus's own labels, by words.

The word lists are small and cover the common forms of a dozen European languages.  They are there
so that a passage about a diagnosis, a union or a faith is put before a person, not to decide on
its own: a metaphor can trip them, a paraphrase can pass them.  GDPR Art. 9 names the special
categories, Art. 10 criminal convictions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from irkit.analyzers.pii_numbers import COUNTRY_OF
from irkit.analyzers.secrets import SECRETS

#: GDPR Art. 9(1) and 10.
SPECIAL = frozenset(
    {
        "health", "religion", "trade_union", "political", "sexual_life", "ethnic_origin",
        "biometric_genetic", "criminal",
    }
)  # fmt: skip

_OF_ENTITY: dict[str, str] = {
    "EMAIL_ADDRESS": "contact", "PHONE_NUMBER": "contact", "IBAN_CODE": "financial",
    "CREDIT_CARD": "financial", "CRYPTO": "financial", "DATE_OF_BIRTH": "identity",
    "UK_NINO": "identity", "UK_NHS": "health", "DE_HEALTH_INSURANCE": "health",
    "US_MBI": "health", "UK_UPN": "child", "MEDICAL_LICENSE": "employment",
    "IP_ADDRESS": "online", "PASSPORT": "identity", "DRIVER_LICENSE": "identity",
    "GOVERNMENT_ID": "identity", "TAX_ID": "identity", "BANK_ACCOUNT": "financial",
}  # fmt: skip

_WORDS: dict[str, str] = {
    "health": (
        r"diagnos\w*|patient\w*|disease|illness|cancer|tumou?r\w*|diabet\w*|depress(?:ion|ive)\w*|"
        r"hepat\w+|hiv\b|aids\b|asthma\w*|epilep\w*|allerg\w+|pregnan\w*|surgery|surgeon|therap\w+|"
        r"medicat\w*|prescri\w+|milligrams?|dosage|blood pressure|hypertension|schizophren\w*|"
        r"bipolar|anxiety|psych(?:olog|iatr)\w*|burnout|sick leave|wheelchair|hard of hearing|"
        r"disab(?:led|ility)\w*|coeliac|migraine|insulin|vaccin\w*|clinic\w*|hospital\w*|symptom\w*|"
        r"krank\w*|diagnose\w*|schwerbehinder\w*|bandscheib\w*|schwanger\w*|arzt\w*|maladie|"
        r"médecin|grossesse|ordonnance|enfermedad|médico|embaraz\w+|malattia|medico|ipertens\w+|"
        r"hipertens\w+|hernie|hernia|ziekte|huisarts|choroba|cukrzyc\w*|nadciśnieni\w*|lekarz\w*|"
        r"sairau\w*|masennu\w*|verenpain\w*|sjuk\w*|läkare\w*|депреси\w*|диабет\w*|хипертони\w*|"
        r"диагноз\w*|пациент\w*|лекар\w*|διαβήτη\w*|κατάθλιψη\w*|υπέρταση\w*|διάγνωσ\w*|ασθεν\w+|"
        r"γιατρ\w+"
    ),
    "religion": (
        r"church tax|kirchensteuer|religio\w*|parish\w*|catholic\w*|protestant\w*|orthodox church|"
        r"muslim\w*|islam\w*|mosque|jewish|judaism|synagogue|hindu\w*|buddhis\w*|baptis\w+|katholi\w*|"
        r"evangelisch\w*|catholique|musulman\w*|juif|juive|católic\w*|cattolic\w*|ramadan|"
        r"yom kippur|bar mitzvah|θρησκ\w+|ορθόδοξ\w+|вероизповедани\w*|yom-kippur|eid\b"
    ),
    "trade_union": (
        r"trade union\w*|labou?r union\w*|\w+ union member\w*|union (?:dues|official|rep)\w*|"
        r"union member\w*|(?:member of|dues to) the \w+(?: \w+)? union|works council|"
        r"shop steward|"
        r"gewerkschaft\w*|betriebsrat\w*|syndicat|syndiqué\w*|sindicat\w*|sindacat\w*|vakbond\w*|"
        r"związ\w+ zawodow\w+|ammattiliit\w*|fackför\w*|профсъюз\w*|συνδικ\w+"
    ),
    "political": (
        r"party member\w*|member of the \w+ party|political (?:opinion|belief|view)s?|voted for|"
        r"parteimitglied\w*|parti politique|partido político|activist\w*"
    ),
    "sexual_life": (
        r"sexual (?:orientation|preference|life|history)|homosexual\w*|bisexual\w*|lesbian|gay man|"
        r"transgender|sexuelle orientierung"
    ),
    "ethnic_origin": r"ethnic (?:origin|background|group)|racial origin|of roma (?:origin|descent)",
    "biometric_genetic": (
        r"fingerprint (?:scan|template)|iris scan|genetic test|dna (?:test|sample)|genom\w*"
    ),
    "criminal": (
        r"convict(?:ed|ion)\w*|criminal record|prison sentence|probation officer|on parole|"
        r"vorstraf\w*|casier judiciaire|antecedentes penales"
    ),
    "financial": (
        r"iban\b|bank account|account number|credit card|card number|salary|gross pay|net pay|"
        r"mortgage|loan of|garnish\w*|overdraft|refund of|invoice\w*|gehalt\w*|salaire|sueldo|"
        r"stipendio|kontonummer|wynagrodzeni\w*|μισθ\w+|заплат\w*"
    ),
    "employment": (
        r"salary|payroll|personnel file|staff number|employee\w*|employed as|appraisal|"
        r"written warning|works council|contract (?:ends|is renewed)|notice period|"
        r"gehalt\w*|personalakte\w*|arbeitsvertrag\w*"
    ),
    "child": (
        r"pupil\w*|nursery file|school file|guardian\w*|kindergarten\w*|schoolchild\w*|"
        r"aged (?:[1-9]|1[0-7])\b|(?:[1-9]|1[0-7]) years old|(?:[1-9]|1[0-7])-year-old|"
        r"minor child\w*|schüler\w*|élève\w*|alumn[oa] de primaria|μαθητ\w+|ученик\w*"
    ),
    "credentials": r"password\w*|passphrase|api[ _]key|private key|access token|secret key",
}  # fmt: skip
_SEARCH = {name: re.compile(rf"\b(?:{words})", re.IGNORECASE) for name, words in _WORDS.items()}

#: Words in a document's ``kind`` and the category they stand for.
_OF_KIND = (
    ("clinic", "health"), ("medical", "health"), ("patient", "health"), ("health", "health"),
    ("hr_", "employment"), ("personnel", "employment"), ("payroll", "employment"),
    ("child", "child"), ("school", "child"), ("bank", "financial"), ("invoice", "financial"),
    ("payment", "financial"), ("config", "credentials"), ("credential", "credentials"),
)  # fmt: skip


def categories(text: str, entities: Iterable[str], kind: str | None) -> list[str]:
    """Name the categories of a passage, in order.

    Args:
        text: the passage.
        entities: entity types found in it.
        kind: the source document's own label, where the corpus has one.
    """
    found = set(_of_text(text)) | entity_categories(entities)
    for word, category in _OF_KIND:
        if kind and word in kind.lower():
            found.add(category)
    return sorted(found)


@lru_cache(maxsize=4096)
def _of_text(text: str) -> frozenset[str]:
    """Categories by words; one passage comes out of a model many times."""
    return frozenset(name for name, search in _SEARCH.items() if search.search(text))


def entity_categories(entities: Iterable[str]) -> set[str]:
    """Name the categories that entity types stand for."""
    found: set[str] = set()
    for entity in entities:
        if entity in SECRETS:
            found.add("credentials")
        elif entity in _OF_ENTITY:
            found.add(_OF_ENTITY[entity])
        elif entity in COUNTRY_OF:
            found.add("identity")
    return found


def is_special(names: Iterable[str]) -> bool:
    """True where a category is one of GDPR Art. 9 or 10."""
    return not SPECIAL.isdisjoint(names)
