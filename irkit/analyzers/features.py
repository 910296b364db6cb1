"""Features of every record, computed once and shared by all detectors.

Texts are streamed from the case in partition order, block by block; each block is a pure function
of its texts (:func:`prompt_features`, :func:`response_features`), so blocks run on worker threads
and the result does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers import feature_sql as sql
from irkit.analyzers.ahead import Ahead
from irkit.analyzers.blocks import block_of, repetition
from irkit.analyzers.neighbours import Relations, relations
from irkit.analyzers.prompt_shape import ASK_CONTACT, Shapes, mix, shapes
from irkit.analyzers.sequences import NO_TIME, QueryLog, Windows, load_log
from irkit.analyzers.sketch import Meaning, meaning
from irkit.analyzers.vectors import Items, load_items
from irkit.engine.local import ordered_map
from irkit.model import UnitKind

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from irkit.case import Case

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
Bools = NDArray[np.bool_]
T = TypeVar("T")
_PromptColumns = tuple[dict[str, NDArray[Any]], I64]
_ResponseColumns = tuple[U64, dict[str, NDArray[Any]]]

#: Prompts per block, about two megabytes of text: small enough for the processor's cache.
BLOCK_DOCS = 8192
#: Partitions with more distinct prompts than this are related in chunks.
_CHUNK_DOCS = 3 * BLOCK_DOCS
#: Tail of a response after a repetition that counts as divergence (the 50-token definition of a
#: verbatim leak, Nasr et al. 2023).
DIVERGENCE_TOKENS = 50
#: Asks whose answers are compared with their context; above this the check is left out.
_CONTEXT_LIMIT = 200_000


@dataclass(frozen=True, slots=True)
class Responses:
    """Per response text: its longest repetition and what follows it.

    Attributes:
        run: tokens of the longest repeated run of words.
        tail: tokens after the run that are not the repeated unit.
        variety: share of distinct tokens in that tail.
    """

    run: NDArray[np.int32]
    tail: NDArray[np.int32]
    variety: F32


def prompt_features(texts: pa.Array, part: I64) -> tuple[Shapes, Relations, Meaning]:
    """Shape and relate one block of distinct prompts (partition by partition, in time order)."""
    block = block_of(texts)
    return shapes(block), relations(block, part), meaning(block)


def response_features(texts: pa.Array) -> Responses:
    """Measure repetition and divergence in one block of responses."""
    block = block_of(texts)
    rep = repetition(block)
    run = np.where(rep.alphabetic, rep.tokens, 0).astype(np.int32)
    tail = np.zeros(block.docs, np.int32)
    variety = np.zeros(block.docs, np.float32)
    for doc in np.flatnonzero(run >= 20).tolist():
        end, period = int(rep.end[doc]), int(rep.period[doc])
        rest = block.hashes[end + 1 : block.bounds[doc + 1]]
        unit = block.hashes[end - period + 1 : end + 1]
        rest = rest[~np.isin(rest, unit)]
        tail[doc] = len(rest)
        variety[doc] = len(np.unique(rest)) / len(rest) if len(rest) else 0.0
    return Responses(run, tail, variety)


class Features:
    """Columns over all records of a case; expensive ones are computed on first use."""

    def __init__(self, case: Case, note: Callable[[int, int, str], None] | None = None) -> None:
        self.case = case
        self.log: QueryLog = load_log(case)
        self._note = note or (lambda _done, _total, _what: None)
        self._cache: dict[str, NDArray[Any]] = {}
        self._held_items: tuple[Windows, Windows] | None = None
        self._ahead: Ahead | None = None

    @contextmanager
    def reading_ahead(self) -> Iterator[None]:
        """Read texts on a thread of its own while the caller works on what needs none.

        What is computed is the same with and without.
        """
        usable = np.flatnonzero(self.log.kept & self.has_prompts)
        self._ahead = Ahead(
            self.case.con.cursor(),
            {
                "_prompts": lambda con: self._read_prompts(con, usable),
                "_responses": self._read_responses,
            },
        )
        try:
            yield
        finally:
            made = self._ahead.close()
            self._ahead = None
            for name, value in made.items():
                self.__dict__.setdefault(name, value)

    def __len__(self) -> int:
        return len(self.log)

    def column(self, name: str) -> NDArray[Any]:
        """Return a column of the log."""
        return self.log.columns[name]

    # -- what the log carries ---------------------------------------------------------------------

    @cached_property
    def has_corpus(self) -> bool:
        """Whether a training corpus was matched."""
        return bool(self.case.rows("SELECT 1 FROM corpus_doc LIMIT 1"))

    @cached_property
    def has_subjects(self) -> bool:
        """Whether the corpus says which documents concern a person."""
        return bool(self.case.rows("SELECT 1 FROM corpus_doc WHERE subject_id IS NOT NULL LIMIT 1"))

    @cached_property
    def has_times(self) -> bool:
        """Whether any call carries a time."""
        return bool((self.log.time != NO_TIME).any())

    @cached_property
    def has_addresses(self) -> bool:
        """Whether any call carries a client address."""
        return bool((self.log.codes[UnitKind.SOURCE_IP] >= 0).any())

    @cached_property
    def has_prompts(self) -> Bools:
        """Records whose prompt is in the log, as a text."""
        return np.asarray((self.column("prompt_key") != 0) & ~self.has_vectors, np.bool_)

    @cached_property
    def has_vectors(self) -> Bools:
        """Records that sent rows of numbers to a classifier."""
        out = np.zeros(len(self), np.bool_)
        if self.case.rows("SELECT 1 FROM query_item LIMIT 1"):
            out[self.items.record] = True
            out = out[self.log.leader]
        return out

    @cached_property
    def has_params(self) -> Bools:
        """Records whose request parameters are in the log."""
        return self.column("params_known").astype(np.bool_)

    # -- prompts ----------------------------------------------------------------------------------

    @cached_property
    def _prompts(self) -> _PromptColumns:
        if self._ahead is not None:
            return cast("_PromptColumns", self._ahead.result("_prompts"))
        return self._read_prompts(self.case.con, np.flatnonzero(self.log.kept & self.has_prompts))

    def _read_prompts(self, con: DuckDBPyConnection, usable: I64) -> _PromptColumns:
        log = self.log
        key = mix(log.columns["prompt_key"][usable]) ^ mix(log.part[usable].astype(np.uint64))
        _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        order = np.argsort(first, kind="stable")
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        pair = np.full(len(log), -1, np.int64)
        pair[usable] = place[inverse]
        pair = pair[log.leader]
        first = usable[first[order]]
        keys, part = log.columns["prompt_key"][first], log.part[first]

        def work(job: tuple[pa.Array, I64]) -> tuple[Shapes, Relations, Meaning]:
            return prompt_features(*job)

        results = self._map(work, self._prompt_blocks(con, keys, part))
        return _columns(results or [work((_no_text(), part))], (Shapes, Relations, Meaning)), pair

    def _prompt_blocks(
        self, con: DuckDBPyConnection, keys: U64, part: I64
    ) -> Iterator[tuple[pa.Array, I64]]:
        import pyarrow as pa

        held: list[pa.Array] = []
        count = done = 0
        for batch in sql.stream_prompts(con, keys):
            held.append(batch)
            count += len(batch)
            if count < BLOCK_DOCS:
                continue
            texts = pa.concat_arrays(held)
            cut = _last_boundary(part[done : done + count])
            if cut == 0 and count < _CHUNK_DOCS:
                held = [texts]
                continue
            cut = cut or count
            yield texts.slice(0, cut), part[done : done + cut]
            done += cut
            held, count = [texts.slice(cut)], count - cut
            self._note(done, len(keys), "prompts")
        if count:
            yield pa.concat_arrays(held), part[done : done + count]

    def _map(self, work: Callable[[Any], T], jobs: Iterator[Any]) -> list[T]:
        """Run blocks on worker threads (numpy releases the interpreter lock), keeping order."""
        if self._ahead is not None:
            jobs = self._ahead.until_closed(jobs)
        with closing(ordered_map(work, jobs, self.case.settings.worker_threads)) as results:
            return list(results)

    def prompt(self, name: str) -> NDArray[Any]:
        """Return a field of :class:`Shapes` or :class:`Relations` per record (0 without prompt)."""
        if name not in self._cache:
            columns, pair = self._prompts
            values = columns[name]
            out = np.zeros((len(pair), *values.shape[1:]), values.dtype)
            known = pair >= 0
            out[known] = values[pair[known]]
            self._cache[name] = out
        return self._cache[name]

    @cached_property
    def fresh(self) -> Bools:
        """First call of each distinct prompt of an actor; repeats add nothing to a relation."""
        pair = self._prompts[1]
        out = np.zeros(len(pair), np.bool_)
        known = np.flatnonzero((pair >= 0) & self.log.kept)
        _, first = np.unique(pair[known], return_index=True)
        out[known[first]] = True
        return out

    # -- rows sent to classifiers -----------------------------------------------------------------

    @cached_property
    def items(self) -> Items:
        """All rows of prediction calls, related to each other."""
        return load_items(self.case, self._ids, self.log.part, self.log.kept)

    @cached_property
    def item_counts(self) -> I64:
        """Rows that each record sent."""
        return np.bincount(self.items.record, minlength=len(self)).astype(np.int64)

    def by_record(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Sum a column of the items over each record."""
        total = np.bincount(self.items.record, weights=values, minlength=len(self))
        return total.astype(np.float64)

    def items_in(self, windows: Windows) -> Windows:
        """Return the same windows over items instead of records."""
        held = self._held_items
        if held is not None and held[0] is windows:
            return held[1]
        counts = self.item_counts
        starts = np.cumsum(counts) - counts
        size = counts[windows.rows]
        ends = np.cumsum(size)
        rows = np.repeat(starts[windows.rows] - (ends - size), size) + np.arange(size.sum())
        owner = np.repeat(windows.owner, size)
        bounds = np.concatenate([[0], ends])[windows.bounds]
        made = Windows(windows.unit, windows.bucket, bounds, rows, owner)
        self._held_items = windows, made
        return made

    # -- responses --------------------------------------------------------------------------------

    @cached_property
    def _responses(self) -> _ResponseColumns:
        if self._ahead is not None:
            return cast("_ResponseColumns", self._ahead.result("_responses"))
        return self._read_responses(self.case.con)

    def _read_responses(self, con: DuckDBPyConnection) -> _ResponseColumns:
        keys: list[U64] = []

        def jobs() -> Iterator[pa.Array]:
            wanted = np.unique(self.column("response_key"))
            for key, texts in sql.stream_responses(con, wanted, BLOCK_DOCS):
                keys.append(key)
                yield texts

        results = self._map(lambda texts: (response_features(texts),), jobs())
        key = np.concatenate(keys) if keys else np.zeros(0, np.uint64)
        columns = _columns(results or [(response_features(_no_text()),)], (Responses,))
        order = np.argsort(key, kind="stable")
        return key[order], {name: values[order] for name, values in columns.items()}

    def response(self, name: str) -> NDArray[Any]:
        """Return a field of :class:`Responses` per record: of its most repetitive choice."""
        return self._by_record[name]

    @cached_property
    def _by_record(self) -> dict[str, NDArray[Any]]:
        keys, columns = self._responses
        out = {name: np.zeros(len(self), values.dtype) for name, values in columns.items()}
        if not len(keys):
            return out
        record, key = self._choices
        place = np.searchsorted(keys, key)
        place[place == len(keys)] = 0
        found = keys[place] == key
        record, place = record[found], place[found]
        order = np.lexsort((columns["tail"][place], columns["run"][place], record))
        for name, values in columns.items():
            # Ascending order: the last assignment to a record is its most repetitive choice.
            out[name][record[order]] = values[place[order]]
        return out

    @cached_property
    def _choices(self) -> tuple[I64, U64]:
        first = np.flatnonzero(self.column("response_key") != 0)
        record, key = self._indexed(sql.more_choices(self.case))
        return (
            np.concatenate([first, record]),
            np.concatenate([self.column("response_key")[first], key["key"]]),
        )

    # -- rows keyed by record id ------------------------------------------------------------------

    def _indexed(self, frame: Any) -> tuple[I64, dict[str, NDArray[Any]]]:
        """Translate a frame with ``record_id`` to record indices (rows of other records drop)."""
        import polars as pl

        table = self._ids
        joined = frame.join(table, on="record_id", how="inner", maintain_order="left")
        columns = {
            name: joined[name].to_numpy() for name in joined.columns if name not in ("record_id",)
        }
        index = columns.pop("index").astype(np.int64)
        assert isinstance(joined, pl.DataFrame)
        return index, columns

    @cached_property
    def _ids(self) -> Any:
        import polars as pl

        return pl.DataFrame(
            {"record_id": self.log.record_id, "index": np.arange(len(self), dtype=np.int64)}
        )

    def to_leader(self, values: NDArray[Any]) -> NDArray[Any]:
        """Give each retry run's leader the largest value of its run."""
        out = values.copy()
        follower = np.flatnonzero(~self.log.kept & (values > 0))
        np.maximum.at(out, self.log.leader[follower], values[follower])
        return out

    # -- corpus -----------------------------------------------------------------------------------

    @cached_property
    def membership(self) -> dict[str, NDArray[Any]]:
        """Per record, how the prompt lies in the training corpus.

        ``tokens`` longest shared run, ``cover`` share of the prompt it covers, ``whole`` whether it
        is a whole document, ``tail`` tokens of a shared run that ends the prompt, ``doc`` key of
        the document, ``personal`` whether it concerns a person.
        """
        return self._by_prompt(sql.prompt_matches(self.case))

    def _by_prompt(self, frame: Any) -> dict[str, NDArray[Any]]:
        key = frame["key"].to_numpy()
        wanted = self.column("prompt_key")
        place = np.searchsorted(key, wanted)
        place[place == len(key)] = 0
        known = key[place] == wanted if len(key) else np.zeros(len(wanted), np.bool_)
        out: dict[str, NDArray[Any]] = {}
        for name in frame.columns:
            if name != "key":
                values = frame[name].to_numpy()
                out[name] = np.zeros(len(wanted), values.dtype)
                out[name][known] = values[place[known]]
        return out

    @cached_property
    def continuation(self) -> dict[str, NDArray[Any]]:
        """Per record, how far the response continues the document the prompt ends in.

        ``chars`` characters beyond the prompt's part, ``doc`` key of the document.
        """
        return self._spread(sql.continuations(self.case))

    @cached_property
    def leaks(self) -> dict[str, NDArray[Any]]:
        """Per record, training text in the response that its conversation did not hold.

        ``tokens`` of the longest such run, ``docs`` how many documents, ``doc`` key of the longest.
        """
        return self._spread(sql.leaks(self.case))

    def _spread(self, frame: Any) -> dict[str, NDArray[Any]]:
        index, columns = self._indexed(frame)
        out: dict[str, NDArray[Any]] = {}
        for name, values in columns.items():
            out[name] = np.zeros(len(self), values.dtype)
            out[name][index] = values
        return out

    @cached_property
    def answered_from_context(self) -> Bools:
        """Asks for a person's data whose answer stood in the conversation already."""
        out = np.zeros(len(self), np.bool_)
        asked = np.flatnonzero((self.prompt("ask") == ASK_CONTACT) & self.log.kept)
        if not asked.size or asked.size > _CONTEXT_LIMIT:
            return out
        index, _ = self._indexed(sql.context_answers(self.case, self.log.record_id.gather(asked)))
        out[index] = True
        return out

    # -- parameters -------------------------------------------------------------------------------

    @cached_property
    def score_only(self) -> F32:
        """How much a call looks like reading a score instead of a text, 0 to 1."""
        short = self.column("max_tokens")
        said = self.column("output_tokens")
        said = np.where(np.isnan(said), self.column("response_chars") / 4.0, said)
        lp, echo = self.column("logprobs").astype(np.bool_), self.column("echo").astype(np.bool_)
        tiny = (short <= 2) | (said <= 2)
        out = np.select([lp & (tiny | echo), lp & (said <= 8), tiny], [1.0, 0.6, 0.5], 0.0)
        return out.astype(np.float32)

    @cached_property
    def bias(self) -> tuple[I64, U64, NDArray[np.float64]]:
        """All logit-bias entries as (record, token key, bias)."""
        if not (self.column("bias_size") > 0).any():
            none = np.zeros(0, np.int64)
            return none, none.astype(np.uint64), none.astype(np.float64)
        index, columns = self._indexed(sql.bias_entries(self.case))
        order = np.lexsort((columns["token"], index))
        return index[order], columns["token"][order], columns["value"][order]


def _last_boundary(part: I64) -> int:
    """Return where the last partition of a block begins (0: it is the only one)."""
    return int(np.searchsorted(part, part[-1], side="left"))


def _no_text() -> pa.Array:
    import pyarrow as pa

    return pa.array([], pa.string())


def _columns(results: list[Any], kinds: tuple[type, ...]) -> dict[str, NDArray[Any]]:
    """Concatenate the fields of per-block results."""
    out: dict[str, NDArray[Any]] = {}
    for position, kind in enumerate(kinds):
        for field in fields(kind):
            out[field.name] = np.concatenate(
                [getattr(result[position], field.name) for result in results]
            )
    return out
