"""Rampart as a recogniser of Presidio, for an analyzer engine put together elsewhere."""

from __future__ import annotations

from typing import Any

from presidio_analyzer import AnalysisExplanation, EntityRecognizer, RecognizerResult

from irkit.analyzers.pii_rampart import ENTITIES, Rampart


class RampartRecogniser(EntityRecognizer):  # type: ignore[misc,unused-ignore]
    """Let Presidio find names, addresses and numbers by Rampart.

    ``AnalyzerEngine.registry.add_recognizer(RampartRecogniser())`` is all it takes.

    Args:
        supported_language: the language under which the registry lists it; the model itself reads
            all of :data:`~irkit.analyzers.pii_rampart.LANGUAGES`.
    """

    def __init__(self, supported_language: str = "en") -> None:
        self._model: Rampart | None = None
        super().__init__(
            supported_entities=list(ENTITIES),
            name="RampartRecogniser",
            supported_language=supported_language,
        )

    def load(self) -> None:
        """Load the model."""
        self._model = Rampart()

    def analyze(
        self,
        text: str,
        entities: list[str],
        nlp_artifacts: Any = None,  # noqa: ARG002 - Presidio's signature
    ) -> list[RecognizerResult]:
        """Return Rampart's findings of the wanted types."""
        if self._model is None:
            self.load()
        assert self._model is not None
        return [
            RecognizerResult(
                kind, start, end, score,
                AnalysisExplanation(recognizer=self.name, original_score=score),
            )
            for start, end, kind, score in self._model.find(text)
            if not entities or kind in entities
        ]  # fmt: skip
