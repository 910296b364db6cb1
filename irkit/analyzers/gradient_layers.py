"""Tell which arrays of an update belong to which layer.

Names follow a framework's state: ``fc1.weight`` and ``fc1.bias`` (PyTorch; rows are neurons),
``dense/kernel`` and ``dense/bias`` (Keras, Flax; columns are neurons), ``W1`` and ``b1``.  A
prefix ``grad.`` or ``delta.`` is ignored, ``param.`` marks parameters that the server sent.  Arrays
without names (``arr_0``, ``arr_1`` ... of ``numpy.savez``) are paired by order and shape.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from irkit.analyzers.gradient_files import Spec

_PREFIX = re.compile(r"^(?:grads?|gradients?|deltas?|update)[./]", re.IGNORECASE)
_PARAM = re.compile(r"^params?[./]", re.IGNORECASE)
_WEIGHT = re.compile(r"^(?P<stem>.*?)(?:(?<=[./_:])|^)(?:weight|kernel|w)(?P<no>\d*)(?::0)?$", re.I)
_BIAS = re.compile(r"^(?P<stem>.*?)(?:(?<=[./_:])|^)(?:bias|b)(?P<no>\d*)(?::0)?$", re.IGNORECASE)
_EMBEDDING = re.compile(r"embed|(?:^|[./_])wte(?:[./_]|$)|lookup", re.IGNORECASE)
_ORDERED = re.compile(r"^arr_\d+$")


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer's arrays.

    Attributes:
        name: what the layer is called, without prefix and suffix.
        weight: the two-dimensional weight.
        bias: the bias, where there is one.
        embedding: rows of the weight are tokens.
        outputs: neurons (for an embedding, its width).
        inputs: values that a neuron reads (for an embedding, its vocabulary).
        turned: the stored weight has its neurons in columns.
        first: no other layer feeds it, so its input is the record itself.
        head: it feeds no other dense layer.
    """

    name: str
    weight: Spec
    bias: Spec | None
    embedding: bool
    outputs: int
    inputs: int
    turned: bool
    first: bool = False
    head: bool = False


def layers(specs: Sequence[Spec], layout: str | None, *, params: bool = False) -> list[Layer]:
    """Find dense layers and embeddings in the order of the file.

    Args:
        specs: arrays of the file.
        layout: stated orientation of weights, or None.
        params: look at the parameters the server sent (prefix ``param.``) instead of the update.
    """
    named: list[tuple[str, Spec]] = []
    for spec in specs:
        sent = _PARAM.match(spec.name) is not None
        if sent == params:
            named.append((_PARAM.sub("", _PREFIX.sub("", spec.name)), spec))
    deep = any(len(spec.shape) > 2 for _, spec in named)
    if named and all(_ORDERED.match(name) for name, _ in named):
        return _placed(_by_order(named, layout), deep)
    biases: dict[tuple[str, str], Spec] = {}
    for name, spec in named:
        found = _BIAS.match(name)
        if found and len(spec.shape) == 1:
            biases.setdefault((found["stem"], found["no"]), spec)
    out: list[Layer] = []
    for name, spec in named:
        if len(spec.shape) == 2 and spec.size:
            found = _WEIGHT.match(name)
            key = (found["stem"], found["no"]) if found else (name, "")
            title = f"{key[0].rstrip('./_:')}{key[1]}" or name
            kernel = name.lower().removesuffix(":0").endswith("kernel")
            embedding = _EMBEDDING.search(name) is not None
            bias = None if embedding else biases.get(key)
            made = _layer(title, spec, bias, layout, kernel, embedding)
            out.append(made)
    return _placed(out, deep)


def _placed(found: list[Layer], deep: bool) -> list[Layer]:
    """Mark the layer that reads the record, and the last one.

    Files sort their arrays in different ways, so the widths are followed first: the input of the
    first layer is no other layer's output.  Only where that is not clear the file's order decides.
    """
    dense = [layer for layer in found if not layer.embedding]
    if not dense:
        return found
    starts = [a for a in dense if all(a.inputs != b.outputs for b in dense if b is not a)]
    ends = [a for a in dense if all(a.outputs != b.inputs for b in dense if b is not a)]
    first = starts[0] if len(starts) == 1 else dense[0]
    head = ends[0] if len(ends) == 1 else dense[-1]
    # Behind a convolution or an embedding a dense layer sees features, not the record.
    bare = not deep and len(dense) == len(found)
    return [replace(layer, first=bare and layer is first, head=layer is head) for layer in found]


def _by_order(named: Sequence[tuple[str, Spec]], layout: str | None) -> list[Layer]:
    out: list[Layer] = []
    for place, (name, spec) in enumerate(named):
        if len(spec.shape) != 2 or not spec.size:
            continue
        after = named[place + 1][1] if place + 1 < len(named) else None
        bias = after if after is not None and len(after.shape) == 1 else None
        made = _layer(name, spec, bias, layout, False, False)
        out.append(made)
    return out


def _layer(
    name: str,
    weight: Spec,
    bias: Spec | None,
    layout: str | None,
    kernel: bool,
    embedding: bool,
) -> Layer:
    rows, columns = weight.shape
    if embedding:
        return Layer(name, weight, None, True, columns, rows, False)
    turned = kernel if layout is None else layout == "in_out"
    if bias is not None and rows != columns:
        # The bias has one entry per neuron, whatever the names say.
        if bias.shape[0] == rows:
            turned = False
        elif bias.shape[0] == columns:
            turned = True
    outputs, inputs = (columns, rows) if turned else (rows, columns)
    if bias is not None and bias.shape[0] != outputs:
        bias = None
    return Layer(name, weight, bias, False, outputs, inputs, turned)
