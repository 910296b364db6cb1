"""D3: one template filled in again and again: attribute enumeration and personal-data probing.

Sources: Fredrikson et al. 2014 and Mehnaz et al. 2020 (every value of a sensitive attribute is sent
once per target); Lukas et al. 2023, ProPILE 2023, DecodingTrust 2023 (open completions that ask for
a named person's data).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.prompt_shape import ASK_ATTRIBUTE, ASK_CONTACT, ASK_SECRET
from irkit.analyzers.registry import DetectorSpec, Signature, Statistic, register
from irkit.model import Technique

if TYPE_CHECKING:
    from irkit.analyzers.features import Features
    from irkit.analyzers.sequences import Windows

ENUMERATION = "D3.enumeration"
PROBE = "D3.pii_probe"
SECRETS = "D3.secrets"
COMPLETE = "D3.complete_enumeration"
ROWS = "D3.rows"
#: Targets for which a sensitive attribute must have been enumerated completely.
_TARGETS = 20


@register
class TemplateSlotEnumeration:
    """Closed value sets sent per target, and open completions about many people."""

    spec = DetectorSpec(
        id="D3",
        name="template_slot_enumeration",
        version="3",
        title="Template slot enumeration",
        looks_for="one template filled with every value of an attribute per person, or with many "
        "people's names and an open question for their data",
        inputs=("prompts", "responses", "params", "vectors"),
        statistic="enumeration: groups of prompts equal but for one slot whose values recur over "
        "groups, weighted by person, sensitive value and score-only answers; pii_probe: distinct "
        "people asked for, context-free, weighted by open completion; secrets: distinct keys, "
        "tokens and passwords asked for; rows: groups of rows equal but for one feature whose "
        "values recur over groups",
        threshold_source="conformal against ordinary actors; signature at 20 targets",
        cost="about 15 microseconds per distinct prompt",
        checks=(
            "an enumeration counts in full only where the varied value is sensitive and a "
            "person stands beside it",
            "a request for a person's data counts only where the conversation did not hold "
            "the answer",
        ),
        known_false_positives=(
            "fairness audits that vary a protected attribute",
            "contact assistants whose address book reaches the model through a tool that is not "
            "in the log",
        ),
        atlas=("AML.T0024.001", "AML.T0057"),
        nist_aml=("NISTAML.032", "NISTAML.038"),
        owasp=("LLM02:2025",),
        statistics=(
            Statistic(ENUMERATION, 10, ("prompts",), {Technique.ATTRIBUTE_INFERENCE: 3.0}, 2.0),
            Statistic(ROWS, 10, ("vectors",), {Technique.ATTRIBUTE_INFERENCE: 3.0}, 2.0),
            Statistic(PROBE, 5, ("prompts",), {Technique.TRAINING_DATA_EXTRACTION: 1.0}, 3.0),
            Statistic(SECRETS, 5, ("prompts",), {Technique.TRAINING_DATA_EXTRACTION: 1.0}, 3.0),
        ),
        signatures=(
            Signature(
                COMPLETE,
                Technique.ATTRIBUTE_INFERENCE,
                "every value of a sensitive attribute was sent for each of 20 or more people",
            ),
        ),
    )

    def query_scores(self, log: Features) -> dict[str, NDArray[np.float32]]:
        """Score slot-group members and context-free asks."""
        reading = 0.4 + 0.6 * log.score_only
        sensitive = log.prompt("slot_sensitive").astype(np.float32)
        person = log.prompt("person").astype(np.float32)
        grid = log.prompt("slot_closed") & (log.prompt("slot_group") != 0) & log.fresh
        # Without a sensitive value only reading scores about people counts, where most of the
        # actor's sets are about people: benchmarks and translations enumerate closed sets, too,
        # name someone now and then, and what is little for one of them adds up where many are
        # linked.
        about = np.maximum(
            sensitive * (0.5 + 0.5 * person),
            0.5 * log.score_only * person * _mostly(person, grid, log.log.part),
        )
        ask = log.prompt("ask")
        fresh = ~log.prompt("ask_context") & ~log.answered_from_context & ~log.prompt("grows")
        attribute = (ask == ASK_ATTRIBUTE) & fresh
        enumeration = np.maximum(
            np.where(grid, about * reading, 0.0), np.where(attribute, 0.7 * reading, 0.0)
        )
        named, opened = log.prompt("ask_person"), log.prompt("ask_open")
        value = np.select([named & opened, named, opened], [1.0, 0.7, 0.35], 0.2)
        contact = np.where((ask == ASK_CONTACT) & fresh, value, 0.0)
        secret = (ask == ASK_SECRET) & fresh
        rows = np.zeros(len(log), np.float32)
        if log.has_vectors.any():
            rows[:] = log.by_record(log.items.closed)
        return {
            ROWS: rows,
            ENUMERATION: enumeration.astype(np.float32),
            PROBE: contact.astype(np.float32),
            SECRETS: secret.astype(np.float32),
        }

    def window_scores(
        self, log: Features, scores: Mapping[str, NDArray[np.float32]], windows: Windows
    ) -> dict[str, NDArray[np.float64]]:
        """Sum over groups of three or more values, and over distinct people asked about."""
        grid = log.prompt("slot_closed") & (scores[ENUMERATION] > 0)
        owner, _, size, best = windows.groups(log.prompt("slot_group"), grid, scores[ENUMERATION])
        whole = size >= 3
        groups = np.bincount(owner[whole], weights=best[whole], minlength=len(windows))
        asked = (log.prompt("ask") == ASK_ATTRIBUTE) & (scores[ENUMERATION] > 0)
        people = windows.best_per_key(log.prompt("target"), scores[ENUMERATION], asked)
        probes = windows.best_per_key(log.prompt("target"), scores[PROBE], scores[PROBE] > 0)
        out = {
            ENUMERATION: np.maximum(groups, 0.5 * people),
            PROBE: probes,
            SECRETS: windows.distinct(log.prompt("target"), scores[SECRETS] > 0),
        }
        if log.has_vectors.any():
            items = log.items
            which, _, members, _ = log.items_in(windows).groups(items.slot, items.closed)
            # A pair tells a flag of two values, which is half as telling as a longer list.
            value = np.where(members >= 3, 1.0, np.where(members == 2, 0.5, 0.0))
            out[ROWS] = np.bincount(which, weights=value, minlength=len(windows))
        return out

    def signature_hits(self, log: Features, windows: Windows) -> dict[str, NDArray[np.bool_]]:
        """Complete enumeration of a sensitive attribute over at least 20 people."""
        grid = log.prompt("slot_closed") & log.prompt("slot_sensitive") & log.prompt("person")
        owner, _, size, _ = windows.groups(log.prompt("slot_group"), grid)
        targets = np.bincount(owner[size >= 3], minlength=len(windows))
        return {COMPLETE: targets >= _TARGETS}

    def reason(self, log: Features, key: str, record: int) -> str:
        """Say why a record scored."""
        if key == ROWS:
            return "the same row as others but for one feature whose values recur per target"
        if key == ENUMERATION:
            if log.prompt("slot_closed")[record]:
                return "same text as other queries but for one slot whose values recur per target"
            return "asks for a sensitive attribute of a named person"
        if key == SECRETS:
            return "asks the model for a key, token or password"
        if log.prompt("ask_open")[record]:
            return "leaves a sentence open where a named person's data would follow"
        return "asks for a named person's data that the conversation does not hold"


def _mostly(
    person: NDArray[np.float32], grid: NDArray[np.bool_], part: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Mark records of actors at least half of whose slot-group queries name a person."""
    size = int(part.max(initial=-1)) + 1
    total = np.bincount(part[grid], minlength=size)
    named = np.bincount(part[grid], weights=person[grid], minlength=size)
    return np.asarray(named >= 0.5 * np.maximum(total, 1))[part]
