"""The vocabulary that all rooms share: enumerations and frozen facts, no behaviour.

Identifiers follow MITRE ATLAS, NIST AI 100-2 E2025 and OWASP LLM Top 10 (2025).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Technique(StrEnum):
    """What an actor was trying to take from the model."""

    MEMBERSHIP_INFERENCE = "membership_inference"
    TRAINING_DATA_EXTRACTION = "training_data_extraction"
    DATA_RECONSTRUCTION = "data_reconstruction"
    ATTRIBUTE_INFERENCE = "attribute_inference"
    PROPERTY_INFERENCE = "property_inference"
    MODEL_EXTRACTION = "model_extraction"


class Profile(StrEnum):
    """Shape of the attack, as the incident playbook names it."""

    SINGLE_PROMPT = "Single-Prompt Extraction"
    STATISTICAL = "Statistical Inference"
    CROSS_CHANNEL = "Cross-Channel Reconstruction"


class UnitKind(StrEnum):
    """Levels of the actor lattice at which behaviour is tested."""

    SESSION = "session"
    CREDENTIAL = "credential"
    SOURCE_IP = "source_ip"
    CAMPAIGN = "campaign"


class Status(StrEnum):
    """Outcome of one detector on one unit."""

    FOUND = "FOUND"
    NO_FINDINGS = "NO_FINDINGS"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    ERROR = "ERROR"


class Tier(StrEnum):
    """Confidence shown to people: A strongest, D descriptive only."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


class PKind(StrEnum):
    """How a p-value was obtained."""

    CONFORMAL = "conformal"
    SIGNATURE = "signature"
    RANK_ONLY = "rank_only"
    NONE = "none"


class Provenance(StrEnum):
    """Where an emitted passage came from."""

    MEMORISED = "memorised"
    ECHO = "echo"
    CUE_DERIVABLE = "cue_derivable"
    UNVERIFIED = "unverified"


class LeakLevel(StrEnum):
    """How an emitted passage was tied to the training corpus."""

    V50 = "V50"
    V25 = "V25"
    C200 = "C200"
    NEAR = "near"
    RECORD = "record"
    TYPED = "typed"


class SubjectStatus(StrEnum):
    """How sure it is that this person's data came out."""

    CONFIRMED = "confirmed"
    PROBABLE = "probable"
    UNVERIFIED = "unverified"


class EvidenceState(StrEnum):
    """Answer of a re-hash: an unhashed or unreachable file is never called verified."""

    VERIFIED = "verified"
    MISMATCH = "mismatch"
    UNVERIFIABLE = "unverifiable"


class Phase(StrEnum):
    """Phase of a GDPR Art. 33(4) notification; a notification made in error is withdrawn."""

    PRELIMINARY = "preliminary"
    SUPPLEMENTARY = "supplementary"
    COMPLETE = "complete"
    WITHDRAWN = "withdrawn"


class Stage(StrEnum):
    """Steps of the pipeline, in order; each is resumable and leaves a progress row."""

    PRESERVE = "preserve"
    INGEST = "ingest"
    CORPUS = "corpus"
    MATCH = "match"
    REPLAY = "replay"
    GRADIENTS = "gradients"
    PII = "pii"
    SCOPE = "scope"
    ASSESS = "assess"


@dataclass(frozen=True, slots=True)
class Count:
    """A number with honest bounds: confirmed floor, best estimate, upper bound, and the method."""

    min: int
    best: int
    max: int
    method: str


@dataclass(frozen=True, slots=True)
class TechniqueTags:
    """Identifiers of a technique in the field's catalogues."""

    atlas: tuple[str, ...]
    nist_aml: tuple[str, ...]
    owasp: tuple[str, ...]
    profile: Profile


#: Sources: MITRE ATLAS 5.6.0; NIST AI 100-2 E2025; OWASP Top 10 for LLM applications 2025.
#: Attribute inference has no NIST id of its own and is reported in the data-reconstruction family;
#: property inference has no ATLAS id of its own and falls under T0024.000's wording.
TECHNIQUE_TAGS: dict[Technique, TechniqueTags] = {
    Technique.TRAINING_DATA_EXTRACTION: TechniqueTags(
        ("AML.T0057",), ("NISTAML.038", "NISTAML.037"), ("LLM02:2025",), Profile.SINGLE_PROMPT
    ),
    Technique.MEMBERSHIP_INFERENCE: TechniqueTags(
        ("AML.T0024.000",), ("NISTAML.033",), ("LLM02:2025",), Profile.STATISTICAL
    ),
    Technique.ATTRIBUTE_INFERENCE: TechniqueTags(
        ("AML.T0024.001",), ("NISTAML.032",), ("LLM02:2025",), Profile.STATISTICAL
    ),
    Technique.PROPERTY_INFERENCE: TechniqueTags(
        ("AML.T0024.000",), ("NISTAML.034",), ("LLM02:2025",), Profile.STATISTICAL
    ),
    Technique.DATA_RECONSTRUCTION: TechniqueTags(
        ("AML.T0024.001", "AML.T0025"), ("NISTAML.032",), ("LLM02:2025",), Profile.CROSS_CHANNEL
    ),
    Technique.MODEL_EXTRACTION: TechniqueTags(
        ("AML.T0024.002", "AML.T0063"),
        ("NISTAML.031",),
        ("LLM02:2025", "LLM10:2025"),
        Profile.CROSS_CHANNEL,
    ),
}


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of long work, for a progress bar or a status line; ``total`` 0 means unknown."""

    stage: Stage
    done: int
    total: int
    unit: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """One preserved file as hashed at intake."""

    source_id: int
    path: str
    original_path: str
    sha256: str
    bytes: int
    storage: str
    state: EvidenceState
    checked_at: datetime | None = None
