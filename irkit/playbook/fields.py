"""The fields of a breach notification, each under a stable key.

The order follows the common core of European forms (and of the EDPB's draft template of June
2026, whose text irkit does not claim to conform to).  The keys are a contract: the same facts fill
the packet, its JSON, the form-fill sheet and any authority's web form.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from irkit.model import Phase


class Kind(StrEnum):
    """Type of a field's value."""

    TEXT = "text"
    INSTANT = "time with zone"
    FLAG = "true or false"
    TRI = "yes, no or unknown"
    CHOICE = "one of a list"
    TEXTS = "list of texts"
    COUNT = "table with min, best, max, method"
    COUNTRIES = "table of country code = number of people"
    MEASURES = "list of measures"
    UNKNOWNS = "list of open points"
    NOTICES = "list of notices"
    SIGNATURES = "list of sign-offs"


@dataclass(frozen=True, slots=True)
class Field:
    """One field: what it is called, what it holds and when it is needed.

    Attributes:
        key: stable dotted key.
        needed: first phase that cannot be built without it; None means optional.
        confirm: True where irkit only proposes and a person must confirm by writing the value.
    """

    key: str
    label: str
    kind: Kind
    part: str
    needed: Phase | None = None
    hint: str = ""
    choices: tuple[str, ...] = ()
    art: str = ""
    confirm: bool = False


PRELIMINARY, COMPLETE, WITHDRAWN = Phase.PRELIMINARY, Phase.COMPLETE, Phase.WITHDRAWN
T, I, TRI, TS, CH = Kind.TEXT, Kind.INSTANT, Kind.TRI, Kind.TEXTS, Kind.CHOICE  # noqa: E741

#: Recital 75 and 85 harms: the controlled vocabulary of Art. 33(3)(c).
HARMS: dict[str, str] = {
    "loss_of_control": "loss of control over personal data",
    "limitation_of_rights": "limitation of rights",
    "discrimination": "discrimination",
    "identity_theft": "identity theft or fraud",
    "financial_loss": "financial loss",
    "reversal_of_pseudonymisation": "unauthorised reversal of pseudonymisation",
    "reputation": "damage to reputation",
    "professional_secrecy": "loss of confidentiality of data protected by professional secrecy",
    "other_disadvantage": "other significant economic or social disadvantage",
}

EXEMPTIONS = (
    "none",
    "34(3)(a) unintelligible",
    "34(3)(b) later measures",
    "34(3)(c) public notice",
)
RISKS = ("unlikely", "risk", "high")
ROLES = ("controller", "joint controller", "processor")


def _part(name: str, *rows: Field) -> tuple[Field, ...]:
    return tuple(
        Field(
            row.key, row.label, row.kind, name, row.needed, row.hint, row.choices, row.art,
            row.confirm,
        )
        for row in rows
    )  # fmt: skip


def _f(
    key: str,
    label: str,
    kind: Kind = T,
    needed: Phase | None = None,
    hint: str = "",
    *,
    choices: tuple[str, ...] = (),
    art: str = "",
    confirm: bool = False,
) -> Field:
    return Field(key, label, kind, "", needed, hint, choices, art, confirm)


FIELDS: tuple[Field, ...] = (
    *_part(
        "Notification",
        _f("notification.reference", "Authority's reference of an earlier report"),
        _f("notification.submitted_at", "Submitted at", I, hint="when this phase was sent"),
        _f(
            "notification.first_submitted_at",
            "First phase submitted at",
            I,
            hint="when the authority first heard of the breach; later phases are then not late",
            art="33(4)",
        ),
        _f(
            "notification.delay_reasons",
            "Reasons for a notification after 72 hours",
            TS,
            hint="needed when the packet is later than 72 hours after awareness",
            art="33(1)",
        ),
        _f(
            "notification.withdrawal_reasons",
            "Reasons for the withdrawal",
            T,
            WITHDRAWN,
            "why what was notified turned out to be no breach, or was notified twice",
        ),
        _f("notification.language", "Language of the packet", hint="BCP 47, like en-GB"),
        _f("notification.marking", "Classification marking"),
        _f("notification.law_enforcement_delay_until", "Law-enforcement delay until", I),
        _f("notification.next_update", "Next update expected at", I, art="33(4)"),
    ),
    *_part(
        "Controller, contact and parties",
        _f("controller.name", "Name of the controller", T, PRELIMINARY),
        _f("controller.role", "Role in this breach", CH, choices=ROLES),
        _f("controller.registration_no", "Registration number"),
        _f("controller.address", "Address"),
        _f("controller.sector", "Sector"),
        _f(
            "controller.country",
            "Country of the main establishment",
            T,
            PRELIMINARY,
            "ISO 3166 code, like DE; decides the lead authority",
        ),
        _f("controller.region", "Region", hint="code of the Land, autonomous community or State"),
        _f("controller.zone", "Time zone", hint="IANA zone, like Europe/Berlin"),
        _f(
            "controller.eea_establishment",
            "Established in the EEA",
            TRI,
            hint="a representative alone gives no one-stop-shop",
        ),
        _f("controller.representative", "Representative in the EEA (Art. 27)"),
        _f("controller.lead", "Controller in the lead, for joint controllers"),
        _f("processors", "Processors and other parties involved", TS),
        _f(
            "dpo.name",
            "Contact point: name",
            T,
            PRELIMINARY,
            "DPO or other contact",
            art="33(3)(b)",
        ),
        _f("dpo.role", "Contact point: role", art="33(3)(b)"),
        _f("dpo.email", "Contact point: e-mail", T, PRELIMINARY, art="33(3)(b)"),
        _f("dpo.phone", "Contact point: phone", art="33(3)(b)"),
        _f("dpo.out_of_hours", "Contact point: outside office hours", art="33(3)(b)"),
        _f("reporter.name", "Reporting person: name"),
        _f("reporter.role", "Reporting person: role"),
        _f("reporter.email", "Reporting person: e-mail"),
        _f("reporter.phone", "Reporting person: phone"),
    ),
    *_part(
        "Timeline",
        _f("timeline.started_at", "Breach began at", I, COMPLETE, art="33(3)(a)"),
        _f("timeline.ended_at", "Breach ended at", I, art="33(3)(a)"),
        _f("timeline.ongoing", "Still ongoing", TRI, COMPLETE),
        _f("timeline.first_signal_at", "First signal at", I),
        _f("timeline.first_signal", "How it was noticed"),
        _f("timeline.triage_started_at", "Short investigation began at", I),
        _f(
            "timeline.awareness_at",
            "Aware at",
            I,
            PRELIMINARY,
            "when it was reasonably certain that personal data was compromised; starts the clock",
            art="33(1)",
            confirm=True,
        ),
        _f("timeline.awareness_basis", "How awareness was established", T, COMPLETE),
        _f("timeline.processor_told_at", "Told by the processor at", I, art="33(2)"),
        _f("timeline.contained_at", "Contained at", I),
    ),
    *_part(
        "Nature of the breach",
        _f("breach.title", "Title"),
        _f(
            "breach.cia",
            "Confidentiality, integrity, availability",
            TS,
            PRELIMINARY,
            art="33(3)(a)",
        ),
        _f("breach.cause", "Cause", T, COMPLETE),
        _f("breach.vector", "How the data was taken", T, PRELIMINARY, art="33(3)(a)"),
        _f("breach.atlas", "MITRE ATLAS techniques", TS),
        _f("breach.narrative", "What happened", T, PRELIMINARY, art="33(3)(a)"),
    ),
    *_part(
        "System",
        _f("system.model", "Model", T, COMPLETE),
        _f("system.version", "Model version active at the time"),
        _f("system.weights_hash", "Hash of the weights active at the time"),
        _f("system.endpoint", "Endpoint"),
        _f("system.training_data_ref", "Reference of the training data"),
        _f("system.dpia_ref", "Reference of the data protection impact assessment"),
        _f(
            "system.anonymity_claim",
            "Earlier claim that the model is anonymous",
            hint="EDPB Opinion 28/2024: a confirmed extraction is evidence against it",
        ),
        _f("system.vendor", "Vendor and due-diligence record"),
    ),
    *_part(
        "Personal data",
        _f("data.categories", "Categories of personal data", TS, PRELIMINARY, art="33(3)(a)"),
        _f("data.special", "Special categories (Art. 9, Art. 10)", TS),
        _f("data.records", "Number of records", Kind.COUNT, PRELIMINARY, art="33(3)(a)"),
        _f("data.protection", "Protection in place (encryption, pseudonymisation)"),
    ),
    *_part(
        "People concerned",
        _f("subjects.categories", "Categories of people", TS, COMPLETE, art="33(3)(a)"),
        _f("subjects.count", "Number of people", Kind.COUNT, PRELIMINARY, art="33(3)(a)"),
        _f("subjects.by_country", "People by country", Kind.COUNTRIES),
        _f("subjects.by_us_state", "People by US State", Kind.COUNTRIES),
        _f("subjects.children", "Children among them", TRI),
        _f("subjects.vulnerable", "Other vulnerable people among them", TRI),
    ),
    *_part(
        "Recipients",
        _f("recipients.known", "Recipients known", TRI),
        _f("recipients.accounts", "Accounts and addresses that received data", TS),
        _f("recipients.whereabouts", "Where the data is now"),
    ),
    *_part(
        "Likely consequences and risk",
        _f("consequences.harms", "Likely consequences", TS, PRELIMINARY, art="33(3)(c)"),
        _f("consequences.text", "Likely consequences in words", art="33(3)(c)"),
        _f(
            "risk.level",
            "Risk to rights and freedoms",
            CH,
            COMPLETE,
            "unlikely: register only; risk: authority; high: authority and people",
            choices=RISKS,
            art="33(1), 34(1)",
            confirm=True,
        ),
        _f("risk.reasons", "Reasons for that risk", T, COMPLETE, art="33(5)"),
        _f("risk.decided_by", "Decided by", T, COMPLETE),
        _f("risk.decided_at", "Decided at", I),
        _f("hipaa.nature", "HIPAA factor (i): nature and extent of the PHI"),
        _f("hipaa.recipient", "HIPAA factor (ii): who received it"),
        _f("hipaa.acquired", "HIPAA factor (iii): actually acquired or viewed"),
        _f("hipaa.mitigation", "HIPAA factor (iv): extent of mitigation"),
        _f("hipaa.conclusion", "HIPAA conclusion"),
    ),
    *_part(
        "Measures",
        _f("measures.before", "Before the breach", Kind.MEASURES),
        _f("measures.containment", "Containment", Kind.MEASURES, PRELIMINARY, art="33(3)(d)"),
        _f("measures.mitigation", "Mitigation", Kind.MEASURES, art="33(3)(d)"),
        _f("measures.prevention", "Prevention", Kind.MEASURES, COMPLETE, art="33(3)(d)"),
    ),
    *_part(
        "Communication to the people concerned",
        _f("communication.required", "Will be told", TRI, art="34(1)"),
        _f("communication.done_at", "Told at", I),
        _f("communication.channel", "How they are told"),
        _f("communication.exemption", "Exemption relied on", CH, choices=EXEMPTIONS, art="34(3)"),
        _f("communication.exemption_evidence", "Evidence for the exemption", art="34(3)"),
        _f("communication.advice", "What people can do", TS, art="34(2)"),
        _f("communication.ordered", "Ordered by the authority", TRI, art="34(4)"),
    ),
    *_part(
        "Other regimes and notices",
        _f("regimes.gdpr", "GDPR applies", TRI),
        _f("regimes.uk_gdpr", "UK GDPR applies", TRI),
        _f("regimes.swiss", "Swiss FADP applies", TRI),
        _f("regimes.hipaa", "HIPAA applies", TRI, hint="covered entity or business associate"),
        _f("regimes.nis2", "NIS2 applies and the incident is significant", TRI),
        _f("regimes.dora", "DORA applies and the incident is major", TRI),
        _f("regimes.ai_act_high_risk", "High-risk AI system under the AI Act", TRI),
        _f("regimes.gpai_systemic", "General-purpose model with systemic risk", TRI),
        _f("regimes.cra", "Product with digital elements (CRA)", TRI),
        _f("clocks.discovered_at", "Discovered at (HIPAA, US States)", I),
        _f("clocks.individual_notice_at", "Individual notice sent at", I),
        _f("clocks.nis2_aware_at", "Aware that the incident is significant (NIS2) at", I),
        _f("clocks.nis2_notified_at", "NIS2 notification submitted at", I),
        _f("clocks.dora_classified_at", "Classified as major (DORA) at", I),
        _f("clocks.dora_initial_at", "DORA initial notification submitted at", I),
        _f("clocks.dora_intermediate_at", "DORA intermediate report submitted at", I),
        _f("notices", "Other notices already given", Kind.NOTICES),
    ),
    *_part(
        "Open points and sign-off",
        _f("unknown", "Not yet known", Kind.UNKNOWNS, art="33(4)"),
        _f("limits", "Further limits of the findings", TS),
        _f("sign_off", "Sign-off", Kind.SIGNATURES, COMPLETE, confirm=True),
    ),
)

FIELD: dict[str, Field] = {field.key: field for field in FIELDS}
PARTS: tuple[str, ...] = tuple(dict.fromkeys(field.part for field in FIELDS))

#: Fields whose values may name the organisation's own people; the packet's self-scan excuses them.
CONTACT_KEYS = frozenset(
    key for key in FIELD if key.startswith(("controller.", "dpo.", "reporter."))
) | {"sign_off", "risk.decided_by", "processors"}
