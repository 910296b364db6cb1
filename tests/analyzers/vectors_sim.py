"""Made-up clients of a tabular classifier, ordinary and attacking, against a model trained here.

The model is a small numpy network on a made-up loan table (twelve columns, three of them codes).
Attackers query it as the literature does; what it returns is written as ingest would have written
it, so every detector sees real decision boundaries and real confidences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from analyzers_sim import START, hash_byte

from irkit.case import Case

Rng = np.random.Generator
#: Rows of one call.
Batch = np.ndarray
Client = Callable[[Rng, int], Iterator[Batch]]

WIDTH, CODES = 12, {9: 5, 10: 2, 11: 4}
CLASSES = 3
_MIX = np.random.default_rng(1).normal(size=(9, 9)) / 3 + np.eye(9)
_CENTRES = np.random.default_rng(2).normal(size=(4, 9)) * 1.2


def people(rng: Rng, count: int, shift: np.ndarray | None = None) -> Batch:
    """Rows of the population that the service is for."""
    kind = rng.integers(0, 4, count)
    numbers = _CENTRES[kind] + rng.normal(size=(count, 9)) @ _MIX
    if shift is not None:
        numbers = numbers + shift
    codes = [rng.integers(0, size, count) for size in CODES.values()]
    return np.column_stack([numbers.round(4), *codes]).astype(float)


@lru_cache(maxsize=1)
def model() -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Return the training rows and the weights of a network trained on them."""
    rng = np.random.default_rng(3)
    x = people(rng, 400)
    score = np.column_stack(
        [x[:, :3].sum(1) + 0.5 * x[:, 9], x[:, 3:6].sum(1) + x[:, 10], x[:, 6:9].sum(1)]
    )
    y = np.argmax(score + rng.normal(size=score.shape), axis=1)
    hidden = 24
    w1, b1 = rng.normal(size=(WIDTH, hidden)) * 0.3, np.zeros(hidden)
    w2, b2 = rng.normal(size=(hidden, CLASSES)) * 0.3, np.zeros(CLASSES)
    target = np.eye(CLASSES)[y]
    for _ in range(600):
        h = np.tanh(x @ w1 + b1)
        p = _softmax(h @ w2 + b2)
        d2 = (p - target) / len(x)
        d1 = (d2 @ w2.T) * (1 - h**2)
        for weight, step in ((w2, h.T @ d2), (b2, d2.sum(0)), (w1, x.T @ d1), (b1, d1.sum(0))):
            weight -= 0.5 * step
    return x, (w1, b1, w2, b2)


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def predict(x: Batch) -> np.ndarray:
    """Class probabilities of rows."""
    w1, b1, w2, b2 = model()[1]
    return _softmax(np.tanh(x @ w1 + b1) @ w2 + b2)


def classes(x: Batch) -> np.ndarray:
    """Classes of rows."""
    return predict(x).argmax(1)


# -- ordinary -----------------------------------------------------------------------------------


def steady(rng: Rng, n: int) -> Iterator[Batch]:
    """An application that asks about one person at a time; its people differ a little."""
    shift = rng.normal(size=9) * rng.choice([0.0, 0.15, 0.4])
    for row in people(rng, n, shift):
        yield row[None]


def alike(rng: Rng, n: int) -> Iterator[Batch]:
    """An application whose people are those of every other application."""
    for row in people(rng, n):
        yield row[None]


def batch_job(rng: Rng, n: int) -> Iterator[Batch]:
    size = int(rng.integers(5, 40))
    for _ in range(n):
        yield people(rng, size)


def monitor(rng: Rng, n: int) -> Iterator[Batch]:
    probes = people(rng, int(rng.integers(1, 6)))
    for i in range(n):
        yield probes[i % len(probes)][None]


def sensor(rng: Rng, n: int) -> Iterator[Batch]:
    """A device whose readings drift slowly."""
    row = people(rng, 1)[0]
    for _ in range(n):
        row = row.copy()
        row[:9] = (row[:9] * 0.98 + rng.normal(size=9) * 0.12).round(2)
        yield row[None]


def what_if(rng: Rng, n: int) -> Iterator[Batch]:
    """A person in front of a form who changes one field and asks again, sometimes to and fro."""
    done = 0
    while done < n:
        row = people(rng, 1)[0]
        for _ in range(min(n - done, int(rng.integers(1, 7)))):
            yield row[None]
            done += 1
            row = row.copy()
            column = int(rng.integers(0, WIDTH))
            if column in CODES:
                row[column] = rng.integers(0, CODES[column])
            else:
                row[column] = round(row[column] + rng.normal() * 0.7, 1)


def edited(rng: Rng, n: int) -> Iterator[Batch]:
    """An application that asks again after a field was corrected."""
    for batch in steady(rng, n):
        if rng.random() < 0.1:
            batch = batch.copy()
            batch[0, int(rng.integers(0, 9))] += round(float(rng.normal() * 0.3), 2)
        yield batch


ORDINARY: dict[str, tuple[Client, float]] = {
    "steady": (steady, 50),
    "batch_job": (batch_job, 10),
    "monitor": (monitor, 8),
    "sensor": (sensor, 8),
    "what_if": (what_if, 8),
    "edited": (edited, 16),
}


# -- attacks ------------------------------------------------------------------------------------


def boundary_walk(rng: Rng, n: int) -> Iterator[Batch]:
    """HopSkipJump with labels only: bisect to the boundary, probe around it, step, again."""
    done, members = 0, model()[0]
    per_anchor = 30
    while done < n:
        anchor = members[int(rng.integers(0, len(members)))].copy()
        label = int(classes(anchor[None])[0])
        used = 0
        other = people(rng, 40)
        other = other[classes(other) != label][0]
        low, high = anchor, other
        budget = min(per_anchor, n - done)
        while used < budget:
            for _ in range(8):
                if used >= budget:
                    break
                middle = ((low + high) / 2).round(6)
                yield middle[None]
                used += 1
                if int(classes(middle[None])[0]) == label:
                    low = middle
                else:
                    high = middle
            noise = rng.normal(size=(7, WIDTH))
            noise *= 0.15 / np.sqrt((noise**2).mean(1, keepdims=True))
            votes = np.zeros(WIDTH)
            for move in noise:
                if used >= budget:
                    break
                probe = (high + move).round(6)
                yield probe[None]
                used += 1
                votes += move if int(classes(probe[None])[0]) != label else -move
            high = high + votes * 0.1
            low = anchor
        done += used


def augmented_membership(rng: Rng, n: int) -> Iterator[Batch]:
    """LiRA: each candidate with a few slightly moved copies, confidences read."""
    done, members = 0, model()[0]
    while done < n:
        row = (
            members[int(rng.integers(0, len(members)))] if rng.random() < 0.5 else people(rng, 1)[0]
        )
        for copy in range(min(6, n - done)):
            moved = row.copy()
            if copy:
                moved[:9] = (moved[:9] + rng.normal(size=9) * 0.1).round(4)
            yield moved[None]
            done += 1


def attribute_enumeration(rng: Rng, n: int) -> Iterator[Batch]:
    """CSMIA: every value of a coded attribute for each target."""
    done = 0
    while done < n:
        row = people(rng, 1)[0]
        for value in range(min(5, n - done)):
            asked = row.copy()
            asked[9] = value
            yield asked[None]
            done += 1


def synthetic_extraction(rng: Rng, n: int) -> Iterator[Batch]:
    """Jacobian-style: seeds, then known rows moved by a fixed step in the signs of a gradient."""
    known = list(people(rng, 10))
    for i in range(n):
        if i < 10:
            yield known[i][None]
            continue
        row = known[int(rng.integers(0, len(known)))].copy()
        row[:9] = (row[:9] + 0.8 * np.sign(rng.normal(size=9))).round(4)
        known.append(row)
        yield row[None]


def natural_extraction(rng: Rng, n: int) -> Iterator[Batch]:
    """Knockoff-style: rows of another population altogether."""
    for _ in range(n):
        row = np.concatenate(
            [rng.uniform(-4, 4, 9).round(4), [rng.integers(0, s) for s in (5, 2, 4)]]
        )
        yield row[None]


ATTACKS: dict[str, tuple[Client, str]] = {
    "boundary_walk": (boundary_walk, "membership_inference"),
    "augmented_membership": (augmented_membership, "membership_inference"),
    "attribute_enumeration": (attribute_enumeration, "attribute_inference"),
    "synthetic_extraction": (synthetic_extraction, "model_extraction"),
    "natural_extraction": (natural_extraction, "model_extraction"),
}


def diluted(attack: Client, share: float, cover_by: Client = steady) -> Client:
    """An attack hidden among ordinary calls: ``share`` of the calls are the attack's."""

    def run(rng: Rng, n: int) -> Iterator[Batch]:
        marks = rng.permutation(np.arange(n) < round(share * n))
        own, cover = attack(rng, int(marks.sum())), cover_by(rng, n)
        for mark in marks:
            yield next(own) if mark else next(cover)

    return run


# -- writing ------------------------------------------------------------------------------------


class VectorSim:
    """Collects clients' calls and writes them as the rows an ingest would have written."""

    def __init__(self, case: Case, *, scores: bool = True) -> None:
        self.case = case
        self.scores = scores
        self.records: list[dict[str, Any]] = []
        self.rows: list[np.ndarray] = []
        self.of: list[str] = []
        self.place: list[int] = []

    def client(self, name: str, calls: Iterator[Batch], *, gap: int = 75, hours: int = 0) -> None:
        """Write one credential's calls."""
        at = START + timedelta(hours=hours)
        for batch in calls:
            at += timedelta(seconds=gap)
            record_id = f"v{len(self.records):07d}"
            self.records.append(
                {
                    "record_id": record_id, "source_id": 1, "source_format": "sagemaker_capture",
                    "entry_no": len(self.records), "sub_no": 0, "request_id": record_id,
                    "event_time": at, "operation": "predict", "credential_id": name,
                    "client_ip": f"192.0.2.{hash_byte(name)}", "model_version": "loan-1",
                    "content_state": "full", "record_kind": "call", "scalars_returned": 0,
                }
            )  # fmt: skip
            self.rows.extend(batch)
            self.of += [record_id] * len(batch)
            self.place += range(len(batch))

    def flush(self) -> None:
        """Ask the model, and write everything collected."""
        x = np.array(self.rows)
        p = predict(x)
        best = np.sort(p, axis=1)
        labels = p.argmax(1)
        frame = {
            "record_id": self.of,
            "source_id": np.ones(len(x), np.int32),
            "item": np.array(self.place, np.int32),
            "features": pl.Series(x.tolist(), dtype=pl.List(pl.Float64)),
            "width": np.full(len(x), WIDTH, np.int32),
            "pred_label": [str(label) for label in labels.tolist()],
            "scalars": np.full(len(x), CLASSES if self.scores else 0, np.int32),
        }
        if self.scores:
            frame |= {"margin": best[:, -1] - best[:, -2], "top1_prob": best[:, -1]}
        self.case.append("query_record", pl.DataFrame(self.records, infer_schema_length=None))
        self.case.append("query_item", pl.DataFrame(frame))


def population(
    sim: VectorSim,
    clients: int,
    seed: int,
    low: int = 60,
    high: int = 130,
    only: Client | None = None,
) -> None:
    """Write ordinary clients in proportion, or of one kind only."""
    rng = np.random.default_rng(seed)
    kinds = list(ORDINARY)
    weight = np.array([ORDINARY[kind][1] for kind in kinds])
    for number in range(clients):
        kind = kinds[int(rng.choice(len(kinds), p=weight / weight.sum()))]
        name = f"app-{seed}-{number:05d}-{kind}"
        own = np.random.default_rng([seed, number])
        calls = (only or ORDINARY[kind][0])(own, int(rng.integers(low, high)))
        sim.client(name, calls, hours=int(rng.integers(0, 480)))
