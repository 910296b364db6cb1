"""Read preserved gradient files: ``.npz`` without pickles, and ``.safetensors``.

One file holds one client's update of one round: arrays under their parameter names, and metadata
(round, client, kind, lr, steps, batch ...) from the file itself or from a sidecar ``FILE.json``.
Arrays are listed without being read and loaded one at a time, so that memory follows the largest
array and not the file.  What cannot be read becomes a :class:`Reject` with a reason, never a crash:
the files may come from an attacker.  Pickles are never opened, because opening one runs its code.
"""

from __future__ import annotations

import json
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from irkit.case.mask import clean
from irkit.errors import UsageError

Array = NDArray[Any]

#: Most arrays listed of one file, and most bytes that one file may unpack to.
MOST_ARRAYS, MOST_BYTES = 20_000, 16 << 30
#: Longest metadata text and sidecar file read, in bytes.
_META_BYTES, _SIDECAR_BYTES = 4096, 1 << 20
_HEADER_BYTES = 1 << 16
#: Suffixes of pickled checkpoints, which are refused whole.
PICKLES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".joblib", ".npy"})
_SAFE_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "<i1", "U8": "<u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "BOOL": "|b1",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spec:
    """An array that can be loaded: its place in the file, name, shape and stored type."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Reject:
    """An array, or (index -1) a whole file, that was not read."""

    index: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Meta:
    """What is stated about an update; ``None`` where nothing is.

    Attributes:
        round: training round.
        client: who sent the update.
        kind: ``grad`` (a gradient), ``delta`` (weights after minus weights before) or ``model``
            (the parameters that the server sent).
        lr: learning rate of the local training; only the size of a delta depends on it.
        steps: local optimiser steps behind a delta.
        batch: records per step.
        clients: updates summed or averaged into this one.
        layout: ``out_in`` (rows are neurons, as in PyTorch) or ``in_out`` (Keras, Flax).
        secure_aggregation: the values are masked shares.
        dp_noise: standard deviation of noise that was added, where stated.
    """

    round: str | None = None
    client: str | None = None
    kind: str = "grad"
    lr: float | None = None
    steps: int | None = None
    batch: int | None = None
    clients: int | None = None
    layout: str | None = None
    secure_aggregation: bool = False
    dp_noise: float | None = None


@dataclass(slots=True)
class Artifact:
    """An opened gradient file.

    Attributes:
        specs: arrays that can be loaded, in the order of the file.
        rejects: what was left out; grows while arrays are loaded.
        meta: what is stated about the update.
        notes: doubts about the metadata, in words.
    """

    specs: list[Spec] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    meta: Meta = field(default_factory=Meta)
    notes: list[str] = field(default_factory=list)
    total: int = 0
    _load: Callable[[Spec], Array] | None = None

    def load(self, spec: Spec) -> Array | None:
        """Load an array; None, and a :class:`Reject`, where it is damaged or not all finite.

        Floats of half precision are widened to 32 bits; everything else keeps its type.
        """
        assert self._load is not None
        try:
            array = self._load(spec)
        except _READ_ERRORS as error:
            self._reject(spec.index, "damaged", f"the data cannot be read ({type(error).__name__})")
            return None
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = int(array.size - np.isfinite(array).sum())
            self._reject(
                spec.index, "not_finite", f"{bad:,} of {array.size:,} values are no number"
            )
            return None
        return array.astype(np.float32) if array.dtype == np.float16 else array

    def _reject(self, index: int, code: str, reason: str) -> None:
        if all(reject.index != index for reject in self.rejects):
            self.rejects.append(Reject(index, code, reason))


class _Damaged(Exception):
    """Less or other data than the header says."""


_READ_ERRORS = (
    _Damaged, OSError, EOFError, ValueError, TypeError, KeyError, NotImplementedError,
    RuntimeError, zipfile.BadZipFile, zlib.error, MemoryError, struct.error, OverflowError,
)  # fmt: skip


def refuse_pickles(paths: list[Path]) -> None:
    """Raise before anything is preserved when a pickled checkpoint is given.

    Raises:
        UsageError: a file's suffix is one of a pickled checkpoint.
    """
    for path in paths:
        if path.suffix.lower() in PICKLES:
            raise UsageError(
                f"{path}: a pickled checkpoint is never opened, because opening it runs its code",
                "convert it on an isolated machine to .safetensors or .npz (plain arrays);"
                " nothing was taken in",
            )


@contextmanager
def opened(
    path: Path, *, most: int, sidecar: bytes | None = None, texts: bool = False
) -> Iterator[Artifact]:
    """Open a gradient file.

    Args:
        path: the preserved file.
        most: largest array in bytes that may be loaded.
        sidecar: content of the JSON file beside it, which wins over the file's own metadata.
        texts: list arrays of texts too, as the ids of a table of training records are.

    Yields:
        The artifact; a file of neither kind has no arrays and one reject with index -1.
    """
    with ExitStack() as stack:
        artifact = Artifact()
        stated: dict[str, Any] = {}
        try:
            stream = stack.enter_context(path.open("rb"))
            head = stream.read(10)
            stream.seek(0)
            if head.startswith(b"PK"):
                stated = _open_npz(artifact, stack, stream, most, texts)
            elif head[8:9] == b"{":
                stated = _open_safetensors(artifact, stack, path, most)
            elif head.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
                artifact.rejects.append(Reject(-1, "pickle", "a pickle: never opened"))
            else:
                artifact.rejects.append(
                    Reject(-1, "unknown_format", "neither an .npz nor a .safetensors file")
                )
        except _READ_ERRORS as error:
            artifact.specs.clear()
            artifact.rejects.append(
                Reject(-1, "damaged", f"the file cannot be read ({type(error).__name__})")
            )
        stated |= _sidecar(artifact, sidecar)
        artifact.meta = _meta(artifact, stated)
        yield artifact


# -- npz ----------------------------------------------------------------------------------------


def _open_npz(
    artifact: Artifact, stack: ExitStack, stream: BinaryIO, most: int, texts: bool
) -> dict[str, Any]:
    archive = stack.enter_context(zipfile.ZipFile(stream))
    members = archive.infolist()
    stated: dict[str, Any] = {}
    places: dict[int, tuple[zipfile.ZipInfo, int, np.dtype[Any], bool]] = {}
    budget = MOST_BYTES
    artifact.total = len(members)
    if len(members) > MOST_ARRAYS:
        raise _Damaged
    seen: set[str] = set()
    for index, member in enumerate(members):
        name = member.filename
        if not name.endswith(".npy"):
            # A torch checkpoint is a zip, too; its pickle stays closed.
            code = "pickle" if name.endswith((".pkl", ".pickle")) else "not_an_array"
            artifact.rejects.append(Reject(index, code, "no .npy member of an .npz file"))
            continue
        name = name.removesuffix(".npy")
        try:
            if member.flag_bits & 1 or name in seen:
                raise _Damaged
            seen.add(name)
            shape, fortran, dtype, begin = _npy_header(archive, member, texts)
            size = math.prod(shape) * dtype.itemsize
            if name.startswith("meta.") and math.prod(shape) == 1 and size <= _META_BYTES:
                stated[name[5:]] = _scalar(archive, member, begin, dtype)
                continue
            if member.file_size - begin < size:
                raise _Damaged
        except _READ_ERRORS as error:
            reason = str(error) if isinstance(error, _Refused) else "the array is damaged"
            code = "refused" if isinstance(error, _Refused) else "damaged"
            artifact.rejects.append(Reject(index, code, reason))
            continue
        budget -= size
        if size > most or budget < 0:
            artifact.rejects.append(Reject(index, "too_large", f"{size:,} bytes: over the limit"))
            continue
        places[index] = (member, begin, dtype, fortran)
        artifact.specs.append(Spec(index, name, shape, dtype.str))

    def load(spec: Spec) -> Array:
        member, begin, dtype, fortran = places[spec.index]
        size = spec.size * dtype.itemsize
        with archive.open(member) as inside:
            inside.read(begin)
            data = inside.read(size)
        if len(data) != size:
            raise _Damaged
        flat = np.frombuffer(data, dtype)
        return flat.reshape(spec.shape, order="F" if fortran else "C")

    artifact._load = load
    return stated


class _Refused(ValueError):
    """An array that irkit will not read, with the reason."""


def _npy_header(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, texts: bool
) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, order, type and length of the header; raises for anything but plain numbers."""
    from numpy.lib import format as npy

    with archive.open(member) as inside:
        version = npy.read_magic(inside)
        if version == (1, 0):
            shape, fortran, dtype = npy.read_array_header_1_0(inside, _HEADER_BYTES)
        elif version == (2, 0):
            shape, fortran, dtype = npy.read_array_header_2_0(inside, _HEADER_BYTES)
        else:
            raise _Refused("an array of a structured type")
        begin = inside.tell()
    if dtype.hasobject:
        raise _Refused("an array of Python objects (a pickle): never opened")
    if dtype.kind not in "fiubUS" or (dtype.kind == "f" and dtype.itemsize > 8):
        raise _Refused(f"values of type {dtype.kind}{dtype.itemsize * 8}, not of plain numbers")
    if dtype.kind in "US" and not texts and not Path(member.filename).name.startswith("meta."):
        raise _Refused("an array of texts")
    if any(not isinstance(n, int) or n < 0 for n in shape) or len(shape) > 8:
        raise _Damaged
    return tuple(shape), fortran, dtype, begin


def _scalar(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, begin: int, dtype: np.dtype[Any]
) -> Any:
    with archive.open(member) as inside:
        inside.read(begin)
        value = np.frombuffer(inside.read(dtype.itemsize), dtype)[0].item()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


# -- safetensors --------------------------------------------------------------------------------


def _open_safetensors(
    artifact: Artifact, stack: ExitStack, path: Path, most: int
) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        # The library checks the header: its size, overlaps, and that offsets lie in the file.
        file = stack.enter_context(safe_open(path, framework="np"))
        names = list(file.offset_keys())
        stated = dict(file.metadata() or {})
    except SafetensorError as error:
        raise _Damaged from error
    artifact.total = len(names)
    if len(names) > MOST_ARRAYS:
        raise _Damaged
    # Tensors are mapped, not read through the library: numpy knows no bfloat16.
    offsets, begin = _offsets(path)
    budget = MOST_BYTES
    for index, name in enumerate(names):
        entry = offsets[name]
        kind, shape = str(entry["dtype"]), tuple(int(n) for n in entry["shape"])
        stored = _SAFE_DTYPES.get(kind, "<u2" if kind == "BF16" else "")
        if not stored:
            artifact.rejects.append(Reject(index, "refused", f"values of type {kind}"))
            continue
        size = int(entry["data_offsets"][1]) - int(entry["data_offsets"][0])
        budget -= size
        if size * (2 if kind == "BF16" else 1) > most or budget < 0:
            artifact.rejects.append(Reject(index, "too_large", f"{size:,} bytes: over the limit"))
            continue
        artifact.specs.append(Spec(index, name, shape, kind if kind == "BF16" else stored))

    def load(spec: Spec) -> Array:
        start = begin + int(offsets[spec.name]["data_offsets"][0])
        if not spec.size:
            return np.zeros(spec.shape, np.float32)
        wide = spec.dtype == "BF16"
        raw = np.memmap(path, "<u2" if wide else spec.dtype, "r", start, spec.shape)
        if wide:  # bfloat16 is the upper half of a 32-bit float
            return (raw.astype(np.uint32) << 16).view(np.float32)
        return np.asarray(raw)

    artifact._load = load
    return stated


def _offsets(path: Path) -> tuple[dict[str, Any], int]:
    with path.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    return header, 8 + length


# -- metadata -----------------------------------------------------------------------------------

_NAMES = {
    "round": str, "client": str, "kind": str, "lr": float, "steps": int, "batch": int,
    "clients": int, "layout": str, "secure_aggregation": bool, "dp_noise": float,
}  # fmt: skip
_CHOICES = {"kind": ("grad", "delta", "model"), "layout": ("out_in", "in_out")}


def _sidecar(artifact: Artifact, content: bytes | None) -> Mapping[str, Any]:
    if content is None:
        return {}
    try:
        if len(content) > _SIDECAR_BYTES:
            raise ValueError
        value = json.loads(content)
    except (ValueError, RecursionError):
        artifact.notes.append("the sidecar is no JSON object of at most 1 MiB and was not used")
        return {}
    return value if isinstance(value, dict) else {}


def _meta(artifact: Artifact, stated: Mapping[str, Any]) -> Meta:
    values: dict[str, Any] = {}
    for name, kind in _NAMES.items():
        if (given := stated.get(name)) is None:
            continue
        try:
            value = _as(kind, given)
        except (ValueError, TypeError, OverflowError):
            artifact.notes.append(f"the stated {name} cannot be used")
            continue
        if name in _CHOICES and value not in _CHOICES[name]:
            artifact.notes.append(f"the stated {name} is none of: {', '.join(_CHOICES[name])}")
            continue
        values[name] = value
    return Meta(**values)


def _as(kind: type, given: Any) -> Any:
    if kind is str:
        if not isinstance(given, str | int | float) or isinstance(given, bool):
            raise TypeError
        return " ".join(clean(str(given)).split())[:60]
    if kind is bool:
        return given is True or str(given).strip().lower() in ("true", "1", "yes")
    number = float(given)
    if not math.isfinite(number) or number < 0 or number > 1e12:
        raise ValueError
    if kind is int:
        if number != int(number) or number < 1:
            raise ValueError
        return int(number)
    return number
