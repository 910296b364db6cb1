"""An offline text embedding for the baselines: latent semantic analysis of hashed n-grams.

The published MMD monitor embeds prompts with bge-small-en-v1.5.  No model can be fetched here, so a
*substitute* of the same width stands in: byte 3- to 5-grams and words, hashed to 2**15 columns,
weighted by inverse document frequency, projected to 384 dimensions by a truncated singular value
decomposition (randomised, Halko et al. 2011) that is fitted on ordinary prompts only, and scaled to
length one.  It sees spelling and vocabulary, hardly any meaning; a sentence encoder may do better
where attack and ordinary prompts share their words.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

F32 = NDArray[np.float32]

NAME = "LSA-384 (hashed byte 3-5-grams and words, TF-IDF, SVD fitted on ordinary prompts)"
_COLUMNS, _DIMENSIONS, _SPARE, _ROUNDS = 1 << 15, 384, 24, 2
_MOST_BYTES = 2000
_WORD = re.compile(r"\w+")
_FIT_TEXTS = 6000


class Embedding:
    """Hashed n-grams projected to 384 dimensions."""

    def __init__(self, texts: Sequence[str], seed: int, *, dimensions: int = _DIMENSIONS) -> None:
        """Fit on ordinary prompts (a fixed draw of at most 6,000 of them)."""
        rng = np.random.default_rng(seed)
        unique = sorted(set(texts))
        pick = rng.permutation(len(unique))[:_FIT_TEXTS]
        counts = _counts([unique[i] for i in np.sort(pick).tolist()])
        seen = np.asarray((counts > 0).sum(axis=0)).ravel()
        self._idf = np.log((1.0 + counts.shape[0]) / (1.0 + seen)) + 1.0
        weighted = self._weigh(counts)
        width = min(dimensions, min(weighted.shape) - 1)
        sample = weighted @ rng.standard_normal((_COLUMNS, width + _SPARE))
        for _ in range(_ROUNDS):
            basis, _ = np.linalg.qr(sample)
            sample = weighted @ (weighted.T @ basis)
        basis, _ = np.linalg.qr(sample)
        # The singular vectors of the tall factor, by way of its small Gram matrix.
        tall = weighted.T @ basis
        square, turn = np.linalg.eigh(tall.T @ tall)
        best = np.argsort(-square)[:width]
        self._project = tall @ (turn[:, best] / np.sqrt(np.maximum(square[best], 1e-12)))
        self._known: dict[str, F32] = {}

    def _weigh(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        weighted = counts.copy()
        weighted.data = 1.0 + np.log(weighted.data)
        weighted = weighted @ sparse.diags(self._idf)
        length = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
        return sparse.diags(1.0 / np.maximum(length, 1e-12)) @ weighted

    def __call__(self, texts: Sequence[str]) -> F32:
        """Embed texts, one row each; a text is computed once and remembered."""
        new = sorted({text for text in texts if text not in self._known})
        for start in range(0, len(new), 4096):
            part = new[start : start + 4096]
            rows = self._weigh(_counts(part)) @ self._project
            rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
            self._known.update(zip(part, rows.astype(np.float32), strict=True))
        return np.stack([self._known[text] for text in texts])


def _counts(texts: Sequence[str]) -> sparse.csr_matrix:
    """Count hashed byte n-grams and words per text."""
    rows, columns = [], []
    for number, text in enumerate(texts):
        lower = text.lower()
        raw = np.frombuffer(f" {lower} ".encode()[:_MOST_BYTES], np.uint8).astype(np.uint64)
        parts = [
            np.array(
                [zlib.crc32(word.encode()) for word in _WORD.findall(lower[:_MOST_BYTES])],
                np.uint64,
            )
        ]
        for width in (3, 4, 5):
            if len(raw) >= width:
                gram = np.zeros(len(raw) - width + 1, np.uint64)
                for offset in range(width):
                    gram = gram * np.uint64(1_000_003) + raw[offset : offset + len(gram)]
                parts.append(gram * np.uint64(2_654_435_761) >> np.uint64(7))
        found = np.concatenate(parts) % np.uint64(_COLUMNS)
        columns.append(found.astype(np.int64))
        rows.append(np.full(len(found), number))
    row = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    column = np.concatenate(columns) if columns else np.zeros(0, np.int64)
    ones = np.ones(len(row))
    return sparse.coo_matrix((ones, (row, column)), shape=(len(texts), _COLUMNS)).tocsr()
