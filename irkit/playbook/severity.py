"""Severity of a breach by ENISA's 2013 method, as intervals with reasons; pure functions.

Source: ENISA, "Recommendations for a methodology of the assessment of severity of personal data
breaches", v1.0, December 2013: SE = DPC x EI + CB.  Inputs that are not certain stay intervals, so
the result is an interval and a set of bands.  A band never decides a notification by itself: the
Art. 33 and 34 tests stand next to it, and what irkit derives is marked as a suggestion.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

BANDS = ("low", "medium", "high", "very high")

#: What each band means, in ENISA's words shortened.
BAND_MEANING = {
    "low": "few inconveniences, overcome without problem",
    "medium": "significant inconveniences, overcome with some difficulty",
    "high": "significant consequences, overcome with serious difficulties",
    "very high": "significant or even irreversible consequences, which may not be overcome",
}

#: Common reading of the bands; a suggestion, not law and not in ENISA's text as law.
BAND_READING = {
    "low": "register only",
    "medium": "notify the authority",
    "high": "notify the authority and the people",
    "very high": "notify the authority and the people",
}

#: Same bands in the scales of authorities' own forms.
BAND_SCALES = {
    "low": {"DPC (IE)": "low", "CNIL (FR), AP (NL)": "negligible"},
    "medium": {"DPC (IE)": "medium", "CNIL (FR), AP (NL)": "limited"},
    "high": {"DPC (IE)": "high", "CNIL (FR), AP (NL)": "important"},
    "very high": {"DPC (IE)": "severe", "CNIL (FR), AP (NL)": "maximal"},
}

#: ENISA's four data categories with their base score.
BASE = {"simple": 1, "behavioural": 2, "financial": 3, "sensitive": 4}

#: Words in an entity type or category that place it; longer and more specific words first.
_SENSITIVE = (
    "health", "medical", "diagnosis", "diagnos", "patient", "genetic", "biometric", "religio",
    "politic", "union", "ethnic", "racial", "sex", "orientation", "criminal", "conviction",
    "art9", "art10", "special", "disabil", "treatment", "medication",
)  # fmt: skip
_CANDIDATE = ("nrp", "nationality", "belief", "medical_id", "nhs", "mbi")
_FINANCIAL = (
    "iban", "credit_card", "card", "bank", "crypto", "aba", "financ", "salary", "income", "tax",
    "invoice", "payment", "account_number", "swift", "bic",
)  # fmt: skip
_BEHAVIOURAL = ("ip_address", "location_trace", "gps", "mac", "url", "device", "behavi", "traffic")
_NOT_PATIENT = ("medical_license", "doctor", "id_card")
_SECRET = ("credential", "api_key", "password", "private_key", "access_token", "secret")

NAME = frozenset({"name", "person", "full_name"})
EMAIL = frozenset({"email", "email_address", "e-mail"})
PHONE = frozenset({"phone", "phone_number"})
ADDRESS = frozenset({"address", "street_address", "postal_address", "location"})
BIRTH = frozenset({"date_of_birth", "birth_date", "dob"})
_ID_WORDS = ("ssn", "passport", "driver", "national_id", "id_card", "_id", "insurance", "nino")


@dataclass(frozen=True, slots=True)
class Scored:
    """An interval and the reasons for it."""

    low: float
    high: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Severity:
    """ENISA score of one cluster of people.

    ``se_low`` and ``se_high`` lie in 0.25 ... 6.0; bands follow from them.
    """

    dpc: Scored
    ei: Scored
    cb: Scored

    @property
    def se_low(self) -> float:
        """Lower end of SE."""
        return round(self.dpc.low * self.ei.low + self.cb.low, 4)

    @property
    def se_high(self) -> float:
        """Upper end of SE."""
        return round(self.dpc.high * self.ei.high + self.cb.high, 4)

    @property
    def band_low(self) -> str:
        """Band of the lower end."""
        return band(self.se_low)

    @property
    def band_high(self) -> str:
        """Band of the upper end."""
        return band(self.se_high)


def band(se: float) -> str:
    """Band of a score: SE < 2 low, < 3 medium, < 4 high, else very high."""
    if se < 2:
        return "low"
    if se < 3:
        return "medium"
    return "high" if se < 4 else "very high"


def band_words(low: str, high: str) -> str:
    """One band, or the two ends of the interval."""
    return low if low == high else f"{low} to {high}"


def data_category(kind: str) -> tuple[str, bool]:
    """ENISA category of an entity type or data category, and whether a person must confirm it.

    A medical licence is about the doctor, so it is simple; nationality, religion and politics as
    one recogniser's class are only a candidate for the sensitive category.
    """
    word = kind.lower().replace(" ", "_").replace("-", "_")
    if _names(word, _NOT_PATIENT):
        return "simple", False
    if _names(word, _CANDIDATE):
        return "sensitive", True
    for words, category in (
        (_SENSITIVE, "sensitive"), (_FINANCIAL, "financial"), (_BEHAVIOURAL, "behavioural"),
    ):  # fmt: skip
        if _names(word, words):
            return category, False
    return "simple", False


def _names(word: str, known: Collection[str]) -> bool:
    """True where a part of the word is known; short entries must be a whole part."""
    parts = word.split("_")
    return any(
        entry in parts or entry == word or (len(entry) >= 6 and entry in word) for entry in known
    )


def context(
    kinds: Collection[str], *, special: bool = False, child: bool = False, verbatim: bool = False
) -> Scored:
    """DPC of the data that came out about one cluster: the highest category counts.

    Args:
        kinds: entity types and data categories exposed about each person.
        special: the corpus or a reviewer says Art. 9 or Art. 10 data is among them.
        child: children are among the people.
        verbatim: whole training records came out, not fragments.
    """
    reasons: list[str] = []
    low, high = 1.0, 1.0
    sure = "simple"
    for kind in sorted(kinds):
        category, candidate = data_category(kind)
        score = BASE[category]
        if _names(kind.lower(), _SECRET):
            high = 4.0
            reasons.append(f"{kind}: takes the category of what it opens, up to 4")
        elif candidate:
            high = max(high, float(score))
            reasons.append(f"{kind}: may be sensitive, needs a person to confirm")
        elif score > low:
            low, sure = float(score), category
    if special:
        low, sure = 4.0, "sensitive"
        reasons.append("special-category data (Art. 9 or Art. 10) is among the exposed data")
    reasons.insert(0, f"{sure} data: base {BASE[sure]}")
    high = max(high, low)
    distinct = {data_category(kind)[0] for kind in kinds}
    if sure == "simple" and len(kinds) >= 4:
        high = max(high, 2.0)
        reasons.append("several kinds of data per person allow a profile: up to 2")
    if sure == "behavioural" and (len(kinds) >= 4 or verbatim):
        high = max(high, 3.0)
        reasons.append("volume per person may show daily life: up to 3")
    if sure == "financial" and ("card" in " ".join(kinds).lower() or len(distinct) >= 2):
        high = max(high, 4.0)
        reasons.append("financial data together with identity may enable fraud: up to 4")
    if child and high < 4:
        high = 4.0
        reasons.append("children: up to 4 where the data is critical for their safety")
    return Scored(min(low, 4.0), min(high, 4.0), tuple(reasons))


def identification(kinds: Collection[str], *, linked: bool = False) -> Scored:
    """EI: how easily a recipient can tell who the person is.

    Args:
        kinds: entity types exposed about each person.
        linked: the exposed passage is a record of the training data tied to one known person, so
            that its text identifies the person even where no recogniser named the identifier.
    """
    words = {kind.lower().replace(" ", "_") for kind in kinds}
    name = bool(words & NAME)
    mail = bool(words & EMAIL)
    birth = bool(words & BIRTH)
    contact = bool(words & (PHONE | ADDRESS))
    number = any(part in word for word in words for part in _ID_WORDS)
    if name and (mail or birth or number):
        with_what = "e-mail" if mail else "birth date" if birth else "official number"
        return Scored(1.0, 1.0, (f"name with {with_what}: maximum",))
    if name and contact:
        return Scored(0.75, 1.0, ("name with phone or address: significant to maximum",))
    if number and mail:
        return Scored(0.75, 1.0, ("official number with e-mail: significant or more",))
    if name:
        return Scored(0.25, 0.75, ("name alone: negligible to significant, by how common it is",))
    if mail:
        return Scored(
            0.25, 1.0, ("e-mail alone: negligible if opaque, maximum if it holds a name",)
        )
    if contact:
        return Scored(0.25, 1.0, ("phone or address alone: depends on whether it is listed",))
    if number:
        return Scored(0.25, 0.75, ("number alone: needs a register to resolve",))
    if linked:
        return Scored(
            0.25, 1.0, ("a record of one known person, identifiers not classified: open",)
        )
    return Scored(0.25, 0.25, ("no direct identifier recognised: negligible",))


def circumstances(*, recipients_known: str, malicious: str) -> Scored:
    """CB: circumstances of the breach, 0 to 2.0; an extraction harms confidentiality only.

    Args:
        recipients_known: ``yes``, ``no`` or ``unknown``.
        malicious: ``yes``, ``no`` or ``unknown``.
    """
    loss = {"yes": (0.25, 0.25), "no": (0.5, 0.5), "unknown": (0.25, 0.5)}[recipients_known]
    intent = {"yes": (0.5, 0.5), "no": (0.0, 0.0), "unknown": (0.0, 0.5)}[malicious]
    reasons = {
        "yes": "confidentiality: disclosed to known recipients (+0.25)",
        "no": "confidentiality: disclosed to an unknown number of recipients (+0.5)",
        "unknown": "confidentiality: recipients not confirmed as known (+0.25 to +0.5)",
    }[recipients_known]
    why = {
        "yes": "malicious intent (+0.5)",
        "no": "no malicious intent (+0)",
        "unknown": "intent not established (+0 to +0.5)",
    }[malicious]
    return Scored(
        loss[0] + intent[0],
        loss[1] + intent[1],
        (reasons, "integrity and availability: not affected (+0)", why),
    )


# -- the field's risk row -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RiskRow:
    """Row of the organisation's AI risk register that this incident belongs to."""

    risk: str
    impact: str
    likelihood: str
    detectability: str
    escalation: str
    owner: tuple[str, ...]
    review: str
    references: tuple[str, ...]


def risk_row(*, gdpr_linked: bool) -> RiskRow:
    """Register row for extraction of training data; critical as soon as the GDPR is linked."""
    return RiskRow(
        risk="Extraction of training data through the model's interface",
        impact="critical",
        likelihood="medium",
        detectability="low",
        escalation=(
            "critical: exposed data falls under the GDPR"
            if gdpr_linked
            else "not escalated: no link to the GDPR established"
        ),
        owner=("privacy officer", "AI security"),
        review="quarterly",
        references=(
            "NIST AI 100-2 E2025",
            "OWASP LLM02:2025",
            "MITRE ATLAS AML.T0024, AML.T0057",
            "EU AI Act Art. 10",
        ),
    )
