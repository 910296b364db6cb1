"""D11: prefixes of training documents sent to get their true continuation.

Sources: Carlini et al. 2022 ("Quantifying": k tokens of true prefix, greedy decoding), the
LM extraction benchmark (50 + 50 tokens), 2505.13171 (document starts trigger best), Carlini et al.
2021 (untargeted sampling from short prompts); cloze forms follow garak's leakreplay probes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.prompt_shape import ASK_NONE
from irkit.analyzers.registry import DetectorSpec, Signature, Statistic, register
from irkit.model import Technique

if TYPE_CHECKING:
    from irkit.analyzers.features import Features
    from irkit.analyzers.sequences import Windows

CONTINUATION = "D11.continuation"
PERSONAL = "D11.personal"
SHAPE = "D11.shape"
VERBATIM = "D11.verbatim"
#: Characters of continuation that make a verbatim leak without a tokenizer (level C200).
_VERBATIM_CHARS = 200
_VERBATIM_DOCS = 10
#: Tokens of a training document beside the gap of a cloze prompt.
_CLOZE_TOKENS = 8


@register
class PrefixContinuationProbe:
    """Distinct documents whose beginnings were sent and whose continuations came back."""

    spec = DetectorSpec(
        id="D11",
        name="prefix_continuation_probe",
        version="3",
        title="Prefix and continuation probe",
        looks_for="prompts that stop in the middle of a training document, and answers that go on "
        "with it",
        inputs=("prompts", "responses", "corpus"),
        statistic="continuation: over distinct documents, the best query score (prefix of 20 or "
        "more tokens, or of 8 that make up half the prompt, or 8 beside a gap to be filled in; no "
        "instruction; greedy; length of the true continuation); personal: the same over documents "
        "that concern a person; shape: distinct bare or cloze prompts that want to be completed",
        threshold_source="conformal against ordinary actors; signature at 10 documents continued "
        "by 200 characters",
        cost="one join with the corpus matches",
        checks=(
            "prompts that instruct or grow by typing count for less or not at all",
            "every document counts once",
        ),
        known_false_positives=(
            "completion of open-source code and licences (common text is left out)",
            "people who quote well-known texts",
        ),
        atlas=("AML.T0057",),
        nist_aml=("NISTAML.038",),
        owasp=("LLM02:2025",),
        statistics=(
            Statistic(
                CONTINUATION,
                5,
                ("prompts", "corpus"),
                {Technique.TRAINING_DATA_EXTRACTION: 2.0},
                3.0,
            ),
            Statistic(
                PERSONAL,
                5,
                ("prompts", "corpus", "subjects"),
                {Technique.TRAINING_DATA_EXTRACTION: 3.0},
                2.0,
            ),
            Statistic(SHAPE, 10, ("prompts",), {Technique.TRAINING_DATA_EXTRACTION: 0.5}, 3.0),
        ),
        signatures=(
            Signature(
                VERBATIM,
                Technique.TRAINING_DATA_EXTRACTION,
                "10 or more training documents were begun by the actor and continued by the model "
                "for 200 characters or more",
            ),
        ),
    )

    def query_scores(self, log: Features) -> dict[str, NDArray[np.float32]]:
        """Score prefixes and continuations, and the bare shape of a completion."""
        greedy = log.column("temperature") <= 0.05
        bare = ~log.prompt("instructs")
        tokens = log.prompt("tokens")
        produces = log.score_only < 0.5
        # The word behind a gap is a short answer by nature; reading scores is another thing.
        fills = log.prompt("cloze") & (log.score_only <= 0.5)
        completes = log.prompt("opened") & bare & (tokens >= 4) & (log.prompt("ask") == ASK_NONE)
        completes &= ~log.prompt("grows") & produces & (log.prompt("run") == 0)
        completes &= log.prompt("prose")
        endpoint = np.isin(log.log.operation, _completion_codes(log))
        shape = np.where(completes, 0.4 + 0.2 * greedy + 0.3 * endpoint, 0.0)
        long = np.nan_to_num(log.column("max_tokens"), nan=0.0) >= 200
        free = (tokens <= 10) & bare & long & produces & endpoint
        shape = np.maximum(shape, np.where(free, 0.4, 0.0))
        shape = np.maximum(shape, np.where(fills, 0.6, 0.0))
        continuation, personal = self._continuation(log, bare, greedy, produces, fills)
        return {
            CONTINUATION: continuation,
            PERSONAL: personal,
            SHAPE: shape.astype(np.float32),
        }

    def _continuation(
        self,
        log: Features,
        bare: NDArray[np.bool_],
        greedy: NDArray[np.bool_],
        produces: NDArray[np.bool_],
        fills: NDArray[np.bool_],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if not log.has_corpus:
            none = np.zeros(len(log), np.float32)
            return none, none
        tail, cover = log.membership["tail"], log.membership["cover"]
        # A passage with a word hidden is recited from both sides of the gap.
        hidden = fills & (log.membership["tokens"] >= _CLOZE_TOKENS)
        hidden &= ~log.membership["whole"].astype(np.bool_)
        prefix = np.select([tail >= 20, hidden, (tail >= 8) & (cover >= 0.5)], [1.0, 0.8, 0.6], 0.0)
        prefix *= 1.0 + 0.5 * bare + 0.25 * greedy
        prefix = np.where((produces | hidden) & ~log.prompt("grows"), prefix, 0.0)
        chars = log.continuation["chars"].astype(np.float64)
        answer = np.where(chars > 0, 1.5 * np.log2(1.0 + chars / 40.0), 0.0)
        about = log.membership["personal"].astype(np.bool_)
        person = np.where(about, prefix, 0.0)
        person += np.where(log.continuation["personal"].astype(np.bool_), answer, 0.0)
        return (
            log.to_leader((prefix + answer).astype(np.float32)),
            log.to_leader(person.astype(np.float32)),
        )

    def window_scores(
        self, log: Features, scores: Mapping[str, NDArray[np.float32]], windows: Windows
    ) -> dict[str, NDArray[np.float64]]:
        """Sum over distinct documents, and over distinct prompts."""
        shape = scores[SHAPE]
        # A load test sends one text with a counter; beginnings of documents differ throughout.
        near, prompt = log.prompt("near"), log.column("prompt_key")
        text = np.where(near != 0, near, prompt)
        out = {SHAPE: windows.best_per_key(text, shape, shape > 0)}
        if log.has_corpus:
            doc = np.where(
                log.continuation["doc"] != 0, log.continuation["doc"], log.membership["doc"]
            )
            for key in (CONTINUATION, PERSONAL):
                out[key] = windows.best_per_key(doc, scores[key], scores[key] > 0)
        return out

    def signature_hits(self, log: Features, windows: Windows) -> dict[str, NDArray[np.bool_]]:
        """Ten documents continued verbatim."""
        if not log.has_corpus:
            return {VERBATIM: np.zeros(len(windows), np.bool_)}
        long = log.continuation["chars"] >= _VERBATIM_CHARS
        if log.has_subjects:
            long &= log.continuation["personal"].astype(np.bool_)
        return {VERBATIM: windows.distinct(log.continuation["doc"], long) >= _VERBATIM_DOCS}

    def reason(self, log: Features, key: str, record: int) -> str:
        """Say why a record scored."""
        if key in (CONTINUATION, PERSONAL):
            whose = "a person's training record" if key == PERSONAL else "a training document"
            chars = int(log.continuation["chars"][record])
            if chars:
                return (
                    f"the prompt stops inside {whose} and the response goes on with it for {chars}"
                    " characters"
                )
            if log.prompt("cloze")[record]:
                return f"asks to fill in or go on with a passage of {whose}"
            return f"the prompt stops inside {whose}"
        if log.prompt("cloze")[record]:
            return "asks to complete, recite or unmask a passage"
        return "a bare beginning of a text, without any instruction"


def _completion_codes(log: Features) -> NDArray[np.int64]:
    names = log.log.operations
    return np.array([i for i, name in enumerate(names) if "completion" in name.lower()], np.int64)
