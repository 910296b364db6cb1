"""Readers of corpus files: one generator of rows per kind of file.

A reader yields ``(doc_id, text, subject_id, copies, kind)`` and counts what it had to leave out.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from irkit.errors import UsageError

#: Longest line or CSV field read, in bytes.
LINE_BYTES = 512 << 20
#: Names under which the fields are found when no mapping says otherwise, in order of preference.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "text": ("text", "content", "body", "document", "passage", "raw_content", "page_content"),
    "doc_id": ("doc_id", "id", "_id", "document_id", "docid", "record_id", "uid", "uuid"),
    "subject_id": ("subject_id", "data_subject_id", "person_id"),
    "copies": ("copies", "duplicates", "dup_count"),
    "kind": ("kind", "category", "record_type", "doc_type"),
}


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """One file of the corpus: how to open it and how it is called in notes."""

    path: Path
    name: str
    kind: str
    packing: str
    bytes: int


#: doc_id (empty when the file has none), text, subject_id, copies, kind.
Row = tuple[str, str, str | None, int | None, str | None]


class Meter:
    """Reports stored bytes read."""

    def __init__(self, before: int, seen: Callable[[int], None] | None) -> None:
        self._before, self._seen = before, seen

    def __call__(self, position: int) -> None:
        """Report the position in the file at hand."""
        if self._seen is not None:
            self._seen(self._before + position)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        stream = path.open("rb")
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror}", "check the path and its permissions"
        ) from error
    with stream:
        yield stream


@contextmanager
def unpacked(file: CorpusFile) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a file for reading its content; yields (content, stored bytes).

    Raises:
        UsageError: the file cannot be read or its packed data is damaged.
    """
    import zstandard

    with opened(file.path) as stored:
        stream: Any = stored
        if file.packing == "gz":
            stream = gzip.GzipFile(fileobj=stored)
        elif file.packing == "bz2":
            stream = bz2.BZ2File(stored)
        elif file.packing == "xz":
            stream = lzma.LZMAFile(stored)  # noqa: SIM115 - closed below
        elif file.packing == "zst":
            stream = zstandard.ZstdDecompressor().stream_reader(stored, read_across_frames=True)
        try:
            with stream:
                yield stream, stored
        except (EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
            raise UsageError(
                f"{file.path}: the data is damaged or cannot be read: {error}",
                "fetch the file again",
            ) from error


# -- readers ------------------------------------------------------------------------------------


def _pick(names: Iterable[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Choose the column of each field."""
    present = set(names)
    lowered = {name.lower(): name for name in sorted(present, reverse=True)}
    chosen: dict[str, str] = {}
    for wanted, options in SYNONYMS.items():
        if wanted in mapping:
            if mapping[wanted] in present:
                chosen[wanted] = mapping[wanted]
            continue
        found = next((lowered[option] for option in options if option in lowered), None)
        if found is not None:
            chosen[wanted] = found
    return chosen


def _no_text(file: CorpusFile, names: Iterable[str], mapping: Mapping[str, str]) -> UsageError:
    known = ", ".join(sorted(str(name) for name in names)[:12]) or "none"
    wanted = mapping.get("text", "text")
    return UsageError(
        f"{file.path}: there is no field '{wanted}' (fields: {known})",
        'name the field that holds the document, like text = "body", in a mapping',
    )


def _text_of(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _id_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else ""


def _copies_of(value: Any) -> int | None:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 < number < 1 << 31 else None


def _json_rows(
    file: CorpusFile, mapping: Mapping[str, str], skipped: dict[str, int], meter: Meter
) -> Iterator[Row]:
    good = bad = 0
    keys: frozenset[str] = frozenset()
    chosen: dict[str, str] = {}
    for entry in _json_entries(file, meter):
        if not isinstance(entry, dict):
            bad += 1
            skipped["not an object"] = skipped.get("not an object", 0) + 1
            if bad >= 20 and not good:
                raise UsageError(
                    f"{file.path}: is not a corpus (no JSON objects)",
                    "give JSON Lines with a text field, Parquet, CSV or plain text",
                )
            continue
        if entry.keys() != keys:
            keys = frozenset(entry)
            chosen = _pick(keys, mapping)
        text = _text_of(entry.get(chosen.get("text", ""))) if "text" in chosen else _turns(entry)
        if text is None:
            if not good and "text" not in chosen:
                raise _no_text(file, keys, mapping)
            skipped["no text"] = skipped.get("no text", 0) + 1
            continue
        good += 1
        yield (
            _id_of(entry.get(chosen.get("doc_id", ""))),
            text,
            _id_of(entry.get(chosen.get("subject_id", ""))) or None,
            _copies_of(entry.get(chosen.get("copies", ""))),
            _text_of(entry.get(chosen.get("kind", ""))),
        )
    if bad and not good:
        raise UsageError(
            f"{file.path}: is not a corpus (no JSON objects)",
            "give JSON Lines with a text field, Parquet, CSV or plain text",
        )


def _turns(entry: Mapping[str, Any]) -> str | None:
    """Text of a fine-tuning example: all turns of a chat, or prompt and completion."""
    if {"response", "choices", "response_body"} & entry.keys():
        return None  # an inference log, not a training set
    messages = entry.get("messages", entry.get("conversations"))
    if isinstance(messages, list):
        turns = [
            turn.get("content", turn.get("value")) for turn in messages if isinstance(turn, dict)
        ]
        return "\n".join(turn for turn in turns if isinstance(turn, str)) or None
    prompt, answer = entry.get("prompt"), entry.get("completion", entry.get("output"))
    if isinstance(prompt, str) and isinstance(answer, str):
        return f"{prompt}{answer}" if answer[:1].isspace() else f"{prompt} {answer}"
    return None


def _json_entries(file: CorpusFile, meter: Meter) -> Iterator[Any]:
    with unpacked(file) as (stream, stored):
        rest, first = b"", True
        while True:
            chunk = stream.read(8 << 20)
            meter(stored.tell())
            if first:
                first = False
                chunk = chunk.removeprefix(b"\xef\xbb\xbf")
                if chunk.lstrip()[:1] == b"[":
                    yield from _json_array(file, chunk + stream.read(LINE_BYTES))
                    return
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop() if chunk else b""
            if len(rest) > LINE_BYTES:
                raise UsageError(
                    f"{file.path}: a line is longer than {LINE_BYTES >> 20} MiB",
                    "write one document per line",
                )
            for line in lines:
                if line and not line.isspace():
                    yield _json(line)
            if not chunk:
                return


def _json_array(file: CorpusFile, data: bytes) -> Iterator[Any]:
    entries = _json(data) if len(data) < LINE_BYTES else None
    if not isinstance(entries, list):
        raise UsageError(
            f"{file.path}: the JSON array cannot be read", "write one document per line (JSONL)"
        )
    yield from entries


def _json(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        # Lone surrogates and NaN occur in real corpora and are no reason to lose a document.
        try:
            return json.loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return None


def _parquet_rows(
    file: CorpusFile, mapping: Mapping[str, str], skipped: dict[str, int], meter: Meter
) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(file.path)
        names = table.schema_arrow.names
        chosen = _pick(names, mapping)
        if "text" not in chosen:
            raise _no_text(file, names, mapping)
        rows = 0
        columns = list(dict.fromkeys(chosen.values()))
        for part in table.iter_batches(batch_size=2000, columns=columns):
            values = {key: part.column(name).to_pylist() for key, name in chosen.items()}
            empty = [None] * part.num_rows
            for text, doc_id, subject, copies, kind in zip(
                values["text"],
                values.get("doc_id", empty),
                values.get("subject_id", empty),
                values.get("copies", empty),
                values.get("kind", empty),
                strict=True,
            ):
                if not isinstance(text, str):
                    skipped["no text"] = skipped.get("no text", 0) + 1
                    continue
                yield (
                    _id_of(doc_id),
                    text,
                    _id_of(subject) or None,
                    _copies_of(copies),
                    _text_of(kind),
                )
            rows += part.num_rows
            meter(file.bytes * rows // max(1, table.metadata.num_rows))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file.path}: the Parquet file is damaged", "check the file") from error


def _csv_rows(
    file: CorpusFile, mapping: Mapping[str, str], skipped: dict[str, int], meter: Meter
) -> Iterator[Row]:
    csv.field_size_limit(LINE_BYTES)
    with unpacked(file) as (stream, stored):
        lines = io.TextIOWrapper(stream, "utf-8-sig", "replace", newline="")
        head = lines.readline()
        comma = max(",;\t|", key=head.count)
        names = next(csv.reader([head], delimiter=comma), [])
        chosen = _pick(names, mapping)
        if "text" not in chosen:
            raise _no_text(file, names, mapping)
        at = {key: names.index(name) for key, name in chosen.items()}
        try:
            for number, row in enumerate(csv.reader(lines, delimiter=comma)):
                if number % 1000 == 0:
                    meter(stored.tell())
                values = {key: row[i] for key, i in at.items() if i < len(row)}
                if not values.get("text"):
                    skipped["no text"] = skipped.get("no text", 0) + bool(row)
                    continue
                yield (
                    values.get("doc_id", ""),
                    values["text"],
                    values.get("subject_id") or None,
                    _copies_of(values.get("copies")),
                    values.get("kind") or None,
                )
        except csv.Error as error:
            raise UsageError(f"{file.path}: the CSV cannot be read: {error}") from error


def _text_rows(
    file: CorpusFile, mapping: Mapping[str, str], skipped: dict[str, int], meter: Meter
) -> Iterator[Row]:
    del mapping, skipped
    with unpacked(file) as (stream, stored):
        data = stream.read(LINE_BYTES + 1)
        meter(stored.tell())
    if len(data) > LINE_BYTES:
        raise UsageError(
            f"{file.path}: a plain text file is one document, and this one is longer than "
            f"{LINE_BYTES >> 20} MiB",
            "split it, or write one document per line (JSONL)",
        )
    yield file.name, data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace"), None, None, None


READERS: dict[
    str, Callable[[CorpusFile, Mapping[str, str], dict[str, int], Meter], Iterator[Row]]
] = {"jsonl": _json_rows, "parquet": _parquet_rows, "csv": _csv_rows, "text": _text_rows}
