"""Read a training corpus as it was preserved: JSONL, Parquet, CSV or plain text, streamed.

Nothing is held but the batch at hand, so a corpus may be larger than memory.  A document is known
by its number in reading order (``ordinal``); ids given twice are told apart when they are stored.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from irkit.analyzers.corpus_readers import (
    READERS,
    SYNONYMS,
    CorpusFile,
    Meter,
    opened,
    unpacked,
)
from irkit.errors import UsageError

#: Bytes of text per batch: large enough for array arithmetic, small enough for the cache.
BATCH_BYTES = 2 << 20
#: Characters of one document above which it is matched in overlapping parts, and the overlap.
PART_CHARS, PART_OVERLAP = 16 << 20, 1 << 15
#: Documents per batch at most, so that very short documents do not make huge lists.
BATCH_DOCS = 20_000

_SURROGATES = re.compile("[\ud800-\udfff]")
_SUFFIXES = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".parquet": "parquet",
    ".pq": "parquet", ".csv": "csv", ".tsv": "csv", ".txt": "text", ".text": "text", ".md": "text",
}  # fmt: skip
_MAGIC = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz"}


@dataclass(slots=True)
class Batch:
    """Consecutive documents, column by column.

    Attributes:
        first: ordinal of the first document.
        part: None for whole documents; else (characters before this part, last part or not), and
            the batch holds that one part alone.
    """

    first: int
    ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    subjects: list[str | None] = field(default_factory=list)
    copies: list[int | None] = field(default_factory=list)
    kinds: list[str | None] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    part: tuple[int, bool] | None = None
    chars: int = 0


@dataclass(slots=True)
class Corpus:
    """A corpus ready to be streamed, as often as needed.

    Attributes:
        files: its files in reading order.
        mapping: irkit's field name to the file's field name, where given.
        skipped: entries that could not be read in the last complete pass, by reason.
    """

    files: list[CorpusFile]
    mapping: Mapping[str, str]
    skipped: dict[str, int] = field(default_factory=dict)
    _fingerprint: str = ""

    @property
    def bytes(self) -> int:
        """Size of all files as stored."""
        return sum(file.bytes for file in self.files)

    def fingerprint(self) -> str:
        """SHA-256 over names, mapping and content of all files."""
        if not self._fingerprint:
            digest = hashlib.sha256(orjson.dumps(dict(sorted(self.mapping.items()))))
            for file in self.files:
                with opened(file.path) as stream:
                    content = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
                digest.update(f"{file.name}\0{file.kind}\0{content}\n".encode())
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def batches(self, seen: Callable[[int], None] | None = None) -> Iterator[Batch]:
        """Stream all documents in order.

        Args:
            seen: called with the stored bytes read so far.

        Raises:
            UsageError: a file cannot be read or has no text field.
        """
        skipped: dict[str, int] = {}
        ordinal, before = 0, 0
        for group in _groups(self.files):
            for batch in self._read(group, ordinal, skipped, before, seen):
                ordinal = batch.first + 1 if batch.part else batch.first + len(batch.ids)
                yield batch
            before += sum(file.bytes for file in group)
            if seen is not None:
                seen(before)
        self.skipped = skipped

    def texts_of(self, ordinals: Iterable[int]) -> Iterator[tuple[int, str]]:
        """Yield (ordinal, text) of chosen documents; the corpus is streamed once.

        A document matched in parts is yielded part by part under the same ordinal.
        """
        wanted = set(ordinals)
        for batch in self.batches():
            last = batch.first + len(batch.ids)
            if wanted.isdisjoint(range(batch.first, last)):
                continue
            for number, text in enumerate(batch.texts, batch.first):
                if number in wanted:
                    yield number, text

    def _read(
        self,
        group: Sequence[CorpusFile],
        ordinal: int,
        skipped: dict[str, int],
        before: int,
        seen: Callable[[int], None] | None,
    ) -> Iterator[Batch]:
        rows = READERS[group[0].kind]
        batch = Batch(ordinal)
        for file in group:
            reader = rows(file, self.mapping, skipped, Meter(before, seen))
            for doc_id, text, subject, copies, kind in reader:
                if not text.isascii() and _SURROGATES.search(text):
                    text = _SURROGATES.sub("\ufffd", text)
                number = batch.first + len(batch.ids)
                if len(text) > PART_CHARS:
                    if batch.ids:
                        yield batch
                    name = doc_id or f"{file.name}#{number + 1}"
                    yield from _parts(number, name, text, subject, copies, kind, file.name)
                    batch = Batch(number + 1)
                    continue
                batch.ids.append(doc_id or f"{file.name}#{number + 1}")
                batch.texts.append(text)
                batch.subjects.append(subject)
                batch.copies.append(copies)
                batch.kinds.append(kind)
                batch.sources.append(file.name)
                batch.chars += len(text)
                if batch.chars >= BATCH_BYTES or len(batch.ids) >= BATCH_DOCS:
                    yield batch
                    batch = Batch(batch.first + len(batch.ids))
            before += file.bytes
        if batch.ids:
            yield batch


def load_corpus(
    paths: Sequence[Path | str] | Path | str, mapping: Mapping[str, str] | Path | None = None
) -> Corpus:
    """Open a corpus and check that its documents can be read.

    Args:
        paths: files, or directories whose files are taken in name order.  JSONL, Parquet and CSV
            carry ``text`` and optionally ``doc_id``, ``subject_id``, ``copies`` and ``kind``; a
            plain text file is one document.  ``.gz``, ``.zst``, ``.bz2`` and ``.xz`` are unpacked.
            JSON entries with ``messages`` or ``prompt`` and ``completion`` (fine-tuning sets) are
            read as one document of all their turns.
        mapping: irkit's field name to the file's field name, or a TOML or JSON file of such pairs.

    Raises:
        UsageError: a path is missing or unreadable, a file is no corpus, or has no text field.
    """
    given = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if not given:
        raise UsageError("no corpus file was given", "name one or more files")
    fields_of = _mapping(mapping)
    files: list[CorpusFile] = []
    for path in map(Path, given):
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and p.name[0] not in "._")
            if not inside:
                raise UsageError(f"{path}: the directory holds no file", "name the corpus files")
            files += [_sniff(p, p.relative_to(path).as_posix()) for p in inside]
        else:
            files.append(_sniff(path, path.name))
    corpus = Corpus(files, fields_of)
    for file in files:
        if file.kind != "text":
            first = next(READERS[file.kind](file, fields_of, {}, Meter(0, None)), None)
            if first is None and file.bytes:
                raise UsageError(
                    f"{file.path}: no document with text was found", "is this the right file?"
                )
    return corpus


def _mapping(mapping: Mapping[str, str] | Path | None) -> dict[str, str]:
    if mapping is None:
        return {}
    pairs: object = mapping
    if isinstance(mapping, Path):
        try:
            raw = mapping.read_text("utf-8")
            pairs = json.loads(raw) if mapping.suffix == ".json" else tomllib.loads(raw)
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{mapping}: cannot read the field mapping: {error}") from error
    if isinstance(pairs, Mapping):
        pairs = pairs.get("fields", pairs)
    if not isinstance(pairs, Mapping) or not all(isinstance(v, str) for v in pairs.values()):
        raise UsageError("the field mapping must pair names with names", 'like text = "body"')
    unknown = sorted(set(pairs) - set(SYNONYMS))
    if unknown:
        raise UsageError(
            f"the field mapping names unknown fields: {', '.join(unknown)}",
            "known: " + ", ".join(SYNONYMS),
        )
    return dict(pairs)


def _sniff(path: Path, name: str) -> CorpusFile:
    """Tell the kind of a file from its suffix and its first bytes."""
    with opened(path) as stream:
        magic = stream.read(6)
        size = os.fstat(stream.fileno()).st_size
    packing = next((kind for head, kind in _MAGIC.items() if magic.startswith(head)), "")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if packing and suffixes:
        suffixes = suffixes[:-1]
    kind = _SUFFIXES.get(suffixes[-1] if suffixes else "", "")
    file = CorpusFile(path, name, kind or "text", packing, size)
    with unpacked(file) as (stream, _):
        head = stream.read(1 << 16)
    if head.startswith(b"PAR1") or kind == "parquet":
        if not head.startswith(b"PAR1"):
            raise UsageError(f"{path}: is no Parquet file", "check the file")
        if packing:
            raise UsageError(f"{path}: a packed Parquet file", "unpack it first")
        return CorpusFile(path, name, "parquet", "", size)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UsageError(f"{path}: is UTF-16 text", "convert it to UTF-8 first")
    if b"\0" in head:
        raise UsageError(
            f"{path}: is not a corpus (binary data)", "give JSONL, Parquet, CSV or plain text"
        )
    if not kind:
        kind = "jsonl" if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")) else "text"
    return CorpusFile(path, name, kind, packing, size)


def _groups(files: Sequence[CorpusFile]) -> Iterator[list[CorpusFile]]:
    """Join neighbouring files of one kind, so that small files share batches."""
    group: list[CorpusFile] = []
    for file in files:
        if group and group[0].kind != file.kind:
            yield group
            group = []
        group.append(file)
    if group:
        yield group


def _parts(
    number: int,
    doc_id: str,
    text: str,
    subject: str | None,
    copies: int | None,
    kind: str | None,
    source: str,
) -> Iterator[Batch]:
    """Cut a very long document into overlapping parts at white space."""
    begin = 0
    while True:
        end = min(begin + PART_CHARS, len(text))
        if end < len(text):
            end = next((i for i in range(end, end - 200, -1) if text[i].isspace()), end)
        last = end >= len(text)
        batch = Batch(number, [doc_id], [text[begin:end]], [subject], [copies], [kind], [source])
        batch.part, batch.chars = (begin, last), end - begin
        yield batch
        if last:
            return
        after = end - PART_OVERLAP
        begin = next((i for i in range(after, after - 200, -1) if text[i].isspace()), after)
