"""What one preserved update gives away, and how it was protected.

Everything here is arithmetic on the arrays; nothing is optimised and no model is run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers import gradient_model, gradient_protect
from irkit.analyzers.gradient_files import Artifact, Meta
from irkit.analyzers.gradient_invert import F64, Labels, invert, labels, tokens, vectors
from irkit.analyzers.gradient_layers import Layer, layers

#: Report classes, strongest disclosure first.
EXACT, PARTIAL, OPTIMISATION, PROTECTED, UNREADABLE = (
    "exact", "partial", "optimisation_only", "protected", "unreadable",
)  # fmt: skip
#: Values of all candidate vectors of one layer at most.
_MOST_VALUES = 16 << 20
#: Neurons of a head up to which agreement cannot tell a record from a mean of several.
_SMALL_HEAD = 2

NOT_COMPUTED = (
    "DLG, Inverting Gradients and GradInversion (they optimise against the model, which takes the"
    " model itself and automatic differentiation)",
    "inversion of several local epochs of federated averaging",
    "TAG and LAMP for running text",
    "R-GAP for convolutions",
    "SEER's test (it needs the gradient of each record)",
)

Array = NDArray[Any]
_NOISE = "noise of standard deviation"


@dataclass(frozen=True, slots=True)
class Candidates:
    """Vectors read off one layer.

    Attributes:
        layer: its name.
        how: per vector ``agreed`` (several neurons), ``single`` (one neuron) or ``imprint``.
        values: shape ``(vectors, inputs)``; never stored or printed.
        record: the layer reads the record itself, not features of it.
    """

    layer: str
    how: tuple[str, ...]
    values: F64
    record: bool


@dataclass(slots=True)
class Analysis:
    """Outcome for one update.

    Attributes:
        outcome: one of the report classes.
        sentences: what was found, in words, without any value of a record.
        detail: figures for the export.
        candidates: vectors to look for among the training records.
        tampered: the sent model carries an imprint layer.
    """

    outcome: str = OPTIMISATION
    sentences: list[str] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)
    candidates: list[Candidates] = field(default_factory=list)
    tampered: bool = False


def oriented(artifact: Artifact, layer: Layer) -> Array | None:
    """Load a layer's weight with neurons (for an embedding: tokens) in rows."""
    weight = artifact.load(layer.weight)
    return None if weight is None else (weight.T if layer.turned else weight)


def analyse(artifact: Artifact, sent: Artifact | None = None) -> Analysis:
    """Analyse an update.

    Args:
        artifact: the opened update.
        sent: parameters that the server sent in the same round, where they were preserved apart.
    """
    out = Analysis()
    meta = artifact.meta
    found = layers(artifact.specs, meta.layout)
    out.detail["arrays"] = {"read": len(artifact.specs), "listed": artifact.total}
    imprints = _sent_model(artifact, sent, out)
    if not artifact.specs:
        out.outcome = UNREADABLE
        out.sentences.append("no array of the file could be read")
        return out
    if meta.secure_aggregation:
        out.outcome = PROTECTED
        out.sentences.append("stated to be a share of secure aggregation: it tells nothing alone")
        return out
    loaded = {layer.name: weight for layer in found if _small(layer) for weight in
              [oriented(artifact, layer)] if weight is not None}  # fmt: skip
    sigma = _protection(artifact, found, loaded, out)
    if out.outcome == PROTECTED:
        return out
    head = next((layer for layer in found if layer.head), None)
    small_head = head is not None and head.outputs <= _SMALL_HEAD and meta.batch != 1
    told = _labels(artifact, head, loaded, sigma, out)
    words = _tokens(artifact, found, loaded, sigma, out)
    whole = inner = False
    bound = 0
    for layer in found:
        if layer.embedding or layer.bias is None:
            continue
        weight = _weight(artifact, layer, loaded)
        bias = artifact.load(layer.bias)
        if weight is None or bias is None:
            continue
        made = imprints.get(layer.name)
        rank, exact = _dense(layer, weight, bias, made, small_head, sigma, out, meta)
        bound = max(bound, rank)
        whole, inner = whole or (exact and layer.first), inner or exact
    if sigma and inner:
        out.detail["protection"]["noise_sigma"] = None
        out.sentences = [words for words in out.sentences if not words.startswith(_NOISE)]
        sigma = 0.0
    noisy = bool(sigma)
    if bound and not sigma:
        noisy = _rank_words(out, bound, meta)
    if whole:
        out.outcome = EXACT
    elif told is not None or words or inner:
        out.outcome = PARTIAL
    elif noisy:
        out.outcome = PROTECTED
    else:
        out.sentences.append(
            "nothing can be read off by arithmetic; attacks that optimise against the model may"
            " still reconstruct records, and were not run"
        )
    return out


def _follow(number: int, layer: Layer) -> str:
    verb = "follows" if number == 1 else "follow"
    if layer.first:
        return f"{number:,} record{'s' * (number > 1)} {verb} exactly from {layer.name}"
    thing = "vector" if number == 1 else "vectors"
    return f"{number:,} {thing} of inner activations (inputs of {layer.name}) {verb} exactly"


def _rank_words(out: Analysis, bound: int, meta: Meta) -> bool:
    """Say what the rank tells; True where it can only come from noise."""
    most = meta.batch * (meta.clients or 1) if meta.batch and (meta.steps or 1) == 1 else None
    if most is not None and bound > most:
        out.sentences.append(
            f"its numerical rank, {bound}, is more than the {most:,} records stated can make: noise"
            " was added, or the statement is wrong"
        )
        return True
    full = any(layer["rank_full"] and layer["rank"] == bound for layer in out.detail["layers"])
    out.detail["batch_at_least"] = bound
    if bound == 1:
        words = "the gradient has rank 1: it is that of a single record, or of records alike"
    elif full:
        words = f"its rank is full ({bound}): at least so many records stand behind it, or noise"
    else:
        words = f"at least {bound} different records stand behind it (numerical rank)"
    out.sentences.append(words)
    return False


def tampering(artifact: Artifact) -> Analysis:
    """Look only at what a dishonest server leaves in parameters that it sent."""
    out = Analysis()
    out.detail["arrays"] = {"read": len(artifact.specs), "listed": artifact.total}
    _sent_model(artifact, artifact, out)
    if not out.tampered:
        out.sentences.append(
            "no layer is shaped to separate records; SEER-like manipulation leaves no such trace"
        )
    return out


def _small(layer: Layer) -> bool:
    """Keep a layer in memory between steps only where that is cheap."""
    return layer.weight.size <= 4 << 20


def _weight(artifact: Artifact, layer: Layer, loaded: dict[str, Array]) -> Array | None:
    kept = loaded.get(layer.name)
    return kept if kept is not None or _small(layer) else oriented(artifact, layer)


def _protection(
    artifact: Artifact, found: list[Layer], loaded: dict[str, Array], out: Analysis
) -> float:
    floors, codings = [], []
    for layer in found:
        weight = _weight(artifact, layer, loaded)
        if weight is None:
            continue
        floors.append(gradient_protect.floor(weight))
        codings.append(gradient_protect.coding(weight))
    meta = artifact.meta
    sigma = gradient_protect.noise(floors, meta.dp_noise)
    protection: dict[str, Any] = {
        "noise_sigma": sigma or None,
        "stated_noise": meta.dp_noise,
        "zero_rows": sum(one.zero_rows for one in floors),
        "quantised": any(one.quantised for one in codings),
        "zeros": round(max((one.zeros for one in codings), default=0.0), 4),
        "clients": meta.clients,
    }
    out.detail["protection"] = protection
    if codings and all(one.integer for one in codings):
        out.outcome = PROTECTED
        out.sentences.append(
            "all values are integers, as masked shares of secure aggregation are; nothing is read"
            " off them"
        )
    if sigma:
        out.sentences.append(
            f"{_NOISE} {sigma:.3g} lies on all layers alike (differential privacy, or the like)"
        )
    elif any(one.zero_rows for one in floors):
        out.sentences.append("rows that are exactly zero prove that no noise was added")
    if protection["quantised"]:
        out.sentences.append("the values are rounded to few levels: what is read off is coarse")
    if meta.clients and meta.clients > 1:
        out.sentences.append(
            f"stated to be the sum of {meta.clients:,} clients' updates: what is read off cannot"
            " be laid to one of them"
        )
    return sigma


def _labels(
    artifact: Artifact,
    head: Layer | None,
    loaded: dict[str, Array],
    sigma: float,
    out: Analysis,
) -> Labels | None:
    if head is None or head.bias is None:
        return None
    weight, bias = _weight(artifact, head, loaded), artifact.load(head.bias)
    if weight is None or bias is None:
        return None
    meta = artifact.meta
    # A delta goes against the gradient; its size is the gradient's times lr and steps.
    sign = -1.0 if meta.kind == "delta" else 1.0
    scale = sign / ((meta.lr or 1.0) * (meta.steps or 1) if meta.kind == "delta" else 1.0)
    # Several steps add up to several batches: counts per class would mean nothing.
    batch = meta.batch if (meta.steps or 1) == 1 else None
    # Added noise of a delta is scaled with it.
    found = labels(sign * weight, scale * np.asarray(bias, np.float64), batch, sigma * abs(scale))
    if found is None:
        return None
    out.detail["labels"] = {
        "layer": head.name,
        "classes": head.outputs,
        "present": len(found.present),
        "counts": dict(sorted((str(c), n) for c, n in found.counts)),
        "complete": found.complete,
        "classes_present": list(found.present)[:200],
    }
    whole = "the batch's whole label set" if found.complete else "at least these labels"
    out.sentences.append(
        f"{len(found.present)} of {head.outputs} classes are in the batch: {whole}; {found.reason}"
    )
    return found


def _tokens(
    artifact: Artifact,
    found: list[Layer],
    loaded: dict[str, Array],
    sigma: float,
    out: Analysis,
) -> bool:
    any_found = False
    for layer in found:
        weight = _weight(artifact, layer, loaded) if layer.embedding else None
        if weight is None or sigma:
            continue
        used, how = tokens(weight)
        out.detail.setdefault("tokens", []).append(
            {"layer": layer.name, "vocabulary": layer.inputs, "used": len(used), "how": how}
        )
        if len(used):
            any_found = True
            out.sentences.append(
                f"{len(used):,} of {layer.inputs:,} tokens occur in the batch ({how} of"
                f" {layer.name})"
            )
    return any_found


def _dense(
    layer: Layer,
    weight: Array,
    bias: Array,
    made: gradient_model.Imprint | None,
    small_head: bool,
    sigma: float,
    out: Analysis,
    meta: Meta,
) -> tuple[int, bool]:
    """Invert one layer; returns its rank and whether it gives vectors away for certain."""
    batch, steps = meta.batch, meta.steps or 1
    coarse = weight.dtype == np.float32 and bool(
        (np.asarray(bias, np.float32) == np.asarray(bias, np.float16)).all()
    )
    result = invert(weight, bias, coarse=coarse, delta=meta.kind == "delta")
    # Neurons that agree to the last digits prove that no noise lies on them.
    sure = [] if sigma and coarse else list(result.groups)
    # Two neurons of a layer of two are each other's negative, whatever the batch.
    if layer.outputs <= _SMALL_HEAD and batch != 1:
        sure = []
    limit = max(1, _MOST_VALUES // max(1, layer.inputs))
    single = [] if sigma else list(result.single)
    rows = [group[0] for group in sure][:limit]
    how = ["agreed"] * len(rows)
    more = single[: max(0, min(limit - len(rows), 512))]
    if rows or more:
        values = vectors(weight, bias, [*rows, *more])
        out.candidates.append(
            Candidates(layer.name, (*how, *["single"] * len(more)), values, layer.first)
        )
    nest = made is None and not sigma and gradient_model.nested(weight, bias)
    imprinted = (made is not None and made.signature) or nest
    certain = bool(rows) and not small_head
    if imprinted and not sigma:
        order = made.order if made is not None else None
        values, _ = gradient_model.recover(weight, bias, order)
        values = values[:limit]
        out.candidates.append(
            Candidates(layer.name, ("imprint",) * len(values), values, layer.first)
        )
        certain = certain or len(values) > 0
        alone = gradient_model.expected_exact(layer.outputs, batch) if batch else None
        words = "nested bins" if made is None else "an imprint layer"
        out.sentences.append(
            f"layer {layer.name} acts as {words}: {len(values):,} of {layer.outputs:,} bins hold"
            " something, each one record or a mean of several"
            + (f"; of {batch:,} records {alone:.1f} are expected alone" if alone else "")
        )
        out.tampered = out.tampered or nest
    elif rows:
        words = _follow(len(rows), layer)
        if small_head:
            words += (
                "; with an output of two classes or fewer each may also be a mean of several"
                " records"
            )
        elif result.share > 0.99 and result.rank == 1:
            words += "; all its neurons agree on one"
        if steps > 1:
            words += f"; over {steps} local steps"
        out.sentences.append(words)
    out.detail.setdefault("layers", []).append(
        {
            "layer": layer.name,
            "neurons": layer.outputs,
            "inputs": layer.inputs,
            "reads_record": layer.first,
            "active": result.active,
            "rank": result.rank,
            "rank_full": result.full,
            "second_to_first": round(result.spread, 6),
            "agreed": len(rows),
            "single": len(more),
            "imprint": imprinted,
        }
    )
    return (0 if imprinted else result.rank), certain


def _sent_model(
    artifact: Artifact, sent: Artifact | None, out: Analysis
) -> dict[str, gradient_model.Imprint]:
    """Test the parameters that the server sent: in the same file, or preserved apart."""
    found: dict[str, gradient_model.Imprint] = {}
    reports: list[dict[str, Any]] = []
    # A file of parameters alone is its own sent model: its prefixed arrays are looked at once.
    pairs = ((artifact, True), (sent, False), (None if sent is artifact else sent, True))
    for source, params in pairs:
        if source is None:
            continue
        every = layers(source.specs, source.meta.layout, params=params)
        for layer in every:
            if layer.embedding or layer.bias is None:
                continue
            weight, bias = oriented(source, layer), source.load(layer.bias)
            if weight is None or bias is None:
                continue
            after = next((b for b in every if b is not layer and b.inputs == layer.outputs), None)
            following = oriented(source, after) if after is not None and _small(after) else None
            made = gradient_model.imprint(weight, bias, following)
            if made is not None:
                found[layer.name] = made
                reports.append(
                    {
                        "layer": layer.name,
                        "parallel_rows_within": float(f"{made.parallel:.3g}"),
                        "monotone_biases": made.monotone,
                        "distribution": made.shape,
                        "fit": round(made.fit, 5),
                        "ks": round(made.ks, 5),
                        "following_constant": made.constant,
                        "signature": made.signature,
                    }
                )
                out.tampered = out.tampered or made.signature
                out.sentences.append(_imprint_words(layer.name, made))
            elif layer.head and (odd := gradient_model.outlier_class(weight)) is not None:
                reports.append({"layer": layer.name, "class": odd[0], "z": round(odd[1], 2)})
                out.sentences.append(
                    f"class {odd[0]} of the sent model's {layer.name} stands out (robust z"
                    f" {odd[1]:.1f}), as when one class is boosted to isolate its records"
                )
    if reports:
        out.detail["sent_model"] = reports
    return found


def _imprint_words(name: str, made: gradient_model.Imprint) -> str:
    words = f"the sent model's {name} has parallel rows"
    if made.signature:
        words += (
            f" and biases on the quantiles of a {made.shape} distribution (fit {made.fit:.4f},"
            f" Kolmogorov-Smirnov distance {made.ks:.3f}): an imprint layer, made to separate the"
            " records of a batch"
        )
        if made.constant:
            words += "; the layer behind it treats all its neurons alike"
        return words
    return words + ", which no ordinary training makes; its biases follow no known imprint"
