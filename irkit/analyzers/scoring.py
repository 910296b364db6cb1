"""Runs every detector over records and windows; a detector that fails costs only its own result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.features import Features
from irkit.analyzers.registry import Detector, Registry, Signature, Statistic
from irkit.analyzers.sequences import Windows

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
Bools = NDArray[np.bool_]
T = TypeVar("T")

#: Share of a window's records that must carry an input for a statistic to speak about it.
_COVERED = 0.5


#: Stratum of calls that send rows to a classifier; never compared with language traffic.
PREDICT = "predict"


def stratum_names(operations: list[str]) -> list[str]:
    """Reduce logged operations to the calls that behave alike: chat, completion, other."""
    out = []
    for name in operations:
        lower = name.lower()
        if lower == PREDICT:
            out.append(PREDICT)
        elif "chat" in lower or "message" in lower or "converse" in lower:
            out.append("chat")
        elif "completion" in lower:
            out.append("completion")
        else:
            out.append("other")
    return out


def window_strata(log: Features, windows: Windows) -> NDArray[np.str_]:
    """Return the stratum of each window: what its first call is, or what most of it sends.

    Rows sent to a classifier decide by majority, so that one call of another kind at the start
    does not move a window to where nothing can be compared.
    """
    strata = np.array(stratum_names(log.log.operations) or ["other"])
    first = log.log.operation[windows.rows[windows.bounds[:-1]]]
    names = strata[np.maximum(first, 0)].astype("<U16")
    vectors = windows.total(log.has_vectors) / windows.sizes >= _COVERED
    names[~vectors & (names == PREDICT)] = "other"
    names[vectors] = PREDICT
    return names


@dataclass(slots=True)
class Scorer:
    """Scores of one case.

    Attributes:
        statistics: all statistics with their detectors, in table column order.
        query: per statistic, one score per record.
        errors: sentence per detector id that failed.
    """

    registry: Registry
    log: Features
    statistics: list[tuple[Detector, Statistic]]
    query: dict[str, F32] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, registry: Registry, log: Features, note: Callable[[int, int, str], None] | None = None
    ) -> Scorer:
        """Compute every query score once."""
        scorer = cls(registry, log, registry.statistics())
        total = len(registry.detectors)
        with log.reading_ahead():
            for number, detector in enumerate(registry.detectors.values()):
                if note:
                    note(number, total, detector.spec.title)
                scores = scorer._guard(detector, lambda d: d.query_scores(log)) or {}
                for statistic in detector.spec.statistics:
                    score = scores.get(statistic.key)
                    if score is None:
                        score = np.zeros(len(log), np.float32)
                    scorer.query[statistic.key] = np.nan_to_num(score, nan=0.0)
        return scorer

    def table(self, windows: Windows) -> F64:
        """Return window scores, shape (windows, statistics); NaN where a statistic is silent."""
        out = np.full((len(windows), len(self.statistics)), np.nan)
        if not len(windows):
            return out
        column = {statistic.key: i for i, (_, statistic) in enumerate(self.statistics)}
        speaks = self.speaking(windows)
        for detector in self.registry.detectors.values():
            scores = self._guard(detector, lambda d: d.window_scores(self.log, self.query, windows))
            if scores is None:
                continue
            for key, values in scores.items():
                i = column[key]
                value = np.nan_to_num(values, nan=0.0)
                value = np.where(value >= self.statistics[i][1].least, value, 0.0)
                out[:, i] = np.where(speaks[:, i], value, np.nan)
        return out

    def speaking(self, windows: Windows) -> Bools:
        """Return which statistic has its inputs and enough queries in which window."""
        prompts = windows.total(self.log.has_prompts) / windows.sizes >= _COVERED
        params = windows.total(self.log.has_params) / windows.sizes >= _COVERED
        vectors = windows.total(self.log.has_vectors) / windows.sizes >= _COVERED
        every = np.ones(len(windows), np.bool_)
        have = {
            "vectors": vectors,
            "prompts": prompts,
            "responses": ~vectors,
            "params": params,
            "corpus": every & self.log.has_corpus,
            "subjects": every & self.log.has_subjects,
            "times": every & self.log.has_times,
            "addresses": every & self.log.has_addresses,
        }
        out = np.empty((len(windows), len(self.statistics)), np.bool_)
        for i, (detector, statistic) in enumerate(self.statistics):
            ok = windows.bucket >= statistic.n_min
            for need in statistic.needs:
                ok = ok & have[need]
            out[:, i] = ok & (detector.spec.id not in self.errors)
        return out

    def signatures(self, windows: Windows) -> list[tuple[Detector, Signature, Bools]]:
        """Return, per signature, which whole units show it."""
        out: list[tuple[Detector, Signature, Bools]] = []
        for detector in self.registry.detectors.values():
            if not detector.spec.signatures or not len(windows):
                continue
            hits = self._guard(detector, lambda d: d.signature_hits(self.log, windows))
            out.extend(
                (detector, signature, hits[signature.key])
                for signature in detector.spec.signatures
                if hits and signature.key in hits
            )
        return out

    def silence(self, statistic: Statistic) -> str:
        """Say why a statistic cannot speak anywhere in this case (empty: it can)."""
        if "corpus" in statistic.needs and not self.log.has_corpus:
            return "no training corpus was given"
        if "subjects" in statistic.needs and not self.log.has_subjects:
            return "the training corpus names no data subjects"
        if "times" in statistic.needs and not self.log.has_times:
            return "the log holds no times"
        if "addresses" in statistic.needs and not self.log.has_addresses:
            return "the log holds no client addresses"
        if "vectors" in statistic.needs and not self.log.has_vectors.any():
            return "the log holds no rows sent to a classifier"
        if "params" in statistic.needs and not self.log.has_params.any():
            return "the log does not hold request parameters"
        if "prompts" in statistic.needs and not self.log.has_prompts.any():
            return "the log does not hold prompts"
        return ""

    def _guard(self, detector: Detector, work: Callable[[Detector], T]) -> T | None:
        if detector.spec.id in self.errors:
            return None
        try:
            return work(detector)
        # Evidence is hostile and plug-ins are foreign: one failing detector is a visible result of
        # its own, never the end of the run.  The message names the type only, as exception texts
        # may quote evidence.
        except Exception as error:
            self.errors[detector.spec.id] = f"the detector failed ({type(error).__name__})"
            return None
