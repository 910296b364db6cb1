"""The open case of a session: one writer connection, a cursor per thread, writes one at a time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb
from textual.worker import get_current_worker

from irkit.case import Case, views
from irkit.errors import CaseBusy, IrkitError, StorageError

if TYPE_CHECKING:
    from irkit.playbook.facts import Facts, Value

T = TypeVar("T")

#: Seconds to wait for another short write.
TURN_SECONDS = 10.0
#: Seconds that a reading behind waits after it gave way.
GIVE_WAY_SECONDS = 0.05


class GaveWay(Exception):
    """Reading ahead was broken off because a person asked for something."""


def patiently(ask: Callable[[], T]) -> T:
    """Ask again after having given way, until there is an answer; for worker threads.

    Raises:
        GaveWay: the worker was cancelled: a newer one has taken its place.
    """
    worker = get_current_worker()
    while True:
        try:
            return ask()
        except GaveWay:
            time.sleep(GIVE_WAY_SECONDS)
            if worker.is_cancelled:
                raise


class CaseSession:
    """One case, held for writing from opening to closing."""

    def __init__(self, case: Case, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.case = case
        # The case's own clock may be stopped (--now); masking again must not depend on it.
        self._monotonic = monotonic
        #: Grows with every change, so that a screen coming back knows whether to read again.
        self.version = 0
        self._writing = threading.Lock()
        self._long = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._reveals: dict[str, float] = {}
        self._answers: dict[str, tuple[int, Any]] = {}
        self._behind: set[duckdb.DuckDBPyConnection] = set()
        self._broken_off: set[duckdb.DuckDBPyConnection] = set()
        self._behind_lock = threading.Lock()
        self._keeping = threading.Lock()
        self._kept: set[object] = set()
        self._room = False

    @property
    def path(self) -> Path:
        """The case directory."""
        return self.case.path

    def close(self) -> None:
        """Give the case back, once what was asked for is written."""
        self._pool.shutdown(wait=True)
        # Cancelled work ends at its next step; closing under it would lose its last words.
        if self._writing.acquire(timeout=TURN_SECONDS):
            self._writing.release()
        self.case.close()

    # -- reading ------------------------------------------------------------------------------

    def read(self, query: Callable[[duckdb.DuckDBPyConnection], T], *, behind: bool = False) -> T:
        """Run a query on a cursor of this thread's own.

        Args:
            query: what to ask.
            behind: nobody waits for the answer; the query is broken off as soon as a person asks
                for something.

        Raises:
            GaveWay: it was broken off.
            StorageError: the database could not answer.
        """
        with self._cursor(behind) as cursor:
            try:
                try:
                    return query(cursor)
                except duckdb.CatalogException:
                    # What was kept went between two statements; without it, the same rows.
                    return query(cursor)
            except duckdb.Error as error:
                # Broken off between a statement and its rows, the database misses the rows instead.
                if behind and (
                    isinstance(error, duckdb.InterruptException) or cursor in self._broken_off
                ):
                    raise GaveWay from None
                raise StorageError(
                    f"{self.path.name}: the case database did not answer ({type(error).__name__})",
                    "close the case and open it again; if it stays, check free memory and disk"
                    " space",
                ) from error

    @contextmanager
    def _cursor(self, behind: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        cursor = self.case.con.cursor()
        with self._behind_lock:
            if behind:
                self._behind.add(cursor)
            else:
                for other in self._behind:
                    self._broken_off.add(other)
                    other.interrupt()
        try:
            yield cursor
        finally:
            with self._behind_lock:
                self._behind.discard(cursor)
                self._broken_off.discard(cursor)
            cursor.close()

    def read_case(self, query: Callable[[Case], T], *, behind: bool = False) -> T:
        """Run a query of the core that wants a case, on this thread's own cursor.

        Raises:
            GaveWay: nobody waits for it, and a person asked for something.
            StorageError: the database could not answer.
        """

        def ask(cursor: duckdb.DuckDBPyConnection) -> T:
            case = self.case
            own = Case(case.path, case.settings, cursor, writable=False, clock=case.clock)
            return query(own)

        return self.read(ask, behind=behind)

    def once(self, name: str, ask: Callable[[], T]) -> T:
        """Ask once per state of the case; several screens and pages show the same answer."""
        version = self.version
        known = self._answers.get(name)
        if known is not None and known[0] == version:
            answer: T = known[1]
            return answer
        answer = ask()
        self._answers[name] = (version, answer)
        return answer

    # -- keeping ------------------------------------------------------------------------------

    def prepare(self, *names: str) -> None:
        """Keep relations in memory that several screens need; nothing while long work writes.

        Raises:
            StorageError: the database could not answer.
        """
        for name in names:
            self._work_out(name, views.KEEPERS[name])

    def prepare_sequence(self, key: views.ActorKey) -> None:
        """Keep an actor's calls in order, for walking through them.

        Raises:
            StorageError: the database could not answer.
        """
        self._kept = {known for known in self._kept if isinstance(known, str)} | (
            {key} & self._kept
        )
        self._work_out(key, lambda con: views.keep_sequence(con, key))

    def _work_out(self, what: object, work: Callable[[duckdb.DuckDBPyConnection], None]) -> None:
        with self._keeping:
            if self._long or what in self._kept:
                return

            def act(cursor: duckdb.DuckDBPyConnection) -> None:
                if not self._room:
                    views.open_room(cursor)
                    self._room = True
                work(cursor)

            self.read(act)
            self._kept.add(what)

    def _forget_kept(self) -> None:
        with self._keeping:
            self._kept.clear()
            if self._room:
                self.read(views.drop_all)

    # -- writing ------------------------------------------------------------------------------

    @contextmanager
    def writing(self, *, long: bool = False) -> Iterator[Case]:
        """Hold the one lane in which custody entries and rows are written.

        Args:
            long: work of unknown length; whoever wants to write meanwhile is refused at once
                instead of waiting his turn.

        Raises:
            CaseBusy: long work of this session is writing.
        """
        if self._long or not self._writing.acquire(timeout=TURN_SECONDS):
            raise CaseBusy("work on this case is still running", "wait for it, or cancel it")
        try:
            self._long = long
            if long:
                self._forget_kept()
            yield self.case
        finally:
            self._long = False
            self.version += 1
            self._writing.release()

    def submit(self, act: Callable[[], None]) -> Future[None]:
        """Carry out short writes one after the other, in the order they were asked for."""
        return self._pool.submit(act)

    @property
    def busy(self) -> bool:
        """True while something writes."""
        return self._writing.locked()

    def review(self, exposure_id: str, verdict: views.Verdict, note: str = "") -> None:
        """Add a reviewer's word on an exposure and take the counts again.

        Raises:
            CaseBusy: other work is writing.
            StorageError: the row or the custody entry could not be written.
        """
        from irkit import flow

        with self.writing() as case:
            flow.review(case, exposure_id, verdict, note)

    def review_many(self, ids: Sequence[str], verdict: views.Verdict, note: str = "") -> None:
        """Add one word of a reviewer on several exposures and take the counts again.

        Raises:
            CaseBusy: other work is writing.
            StorageError: the rows or the custody entry could not be written.
        """
        from irkit import flow

        with self.writing() as case:
            flow.review_many(case, ids, verdict, note)

    def take_back(self, ids: Sequence[str]) -> None:
        """Bring back what held before the last word on each exposure.

        Raises:
            CaseBusy: other work is writing.
            StorageError: the rows or the custody entry could not be written.
        """
        from irkit import flow

        with self.writing() as case:
            flow.take_back(case, ids)

    def draw_sample(self, size: int) -> None:
        """Draw exposures for a sampled review.

        Raises:
            CaseBusy: other work is writing.
            UsageError: the case was not scoped yet.
        """
        from irkit import flow

        with self.writing() as case:
            flow.sample_review(case, size)

    # -- decisions and facts --------------------------------------------------------------------

    def decide(self, step_id: str, state: str, decision: str, reason: str, owner: str) -> None:
        """Record a decision on a step of the playbook.

        Raises:
            CaseBusy: other work is writing.
            UsageError: the step waits for its gates, or a reason is missing.
        """
        from irkit.playbook import decide

        with self.writing() as case:
            decide(case, step_id, state, decision=decision, reason=reason, owner=owner)

    def save_fact(self, key: str, value: Value, reason: str) -> None:
        """Keep a fact that a person wrote, and compute the deadlines again.

        Raises:
            CaseBusy: other work is writing.
            UsageError: a confirmed time of awareness changes without a reason.
        """
        from irkit.playbook.facts import facts_from_case

        with self.writing() as case:
            self._keep(case, facts_from_case(case).with_value(key, value), reason)

    def clear_fact(self, key: str, reason: str) -> None:
        """Forget what a person wrote, and compute the deadlines again.

        Raises:
            CaseBusy: other work is writing.
            UsageError: a confirmed time of awareness is taken back without a reason.
        """
        from irkit.playbook.facts import facts_from_case

        with self.writing() as case:
            self._keep(case, facts_from_case(case).without(key), reason)

    @staticmethod
    def _keep(case: Case, facts: Facts, reason: str) -> None:
        from irkit.playbook import assess
        from irkit.playbook.prefill import save_facts

        save_facts(case, facts, reason=reason)
        # Deadlines count from these facts, and severity from some of them.
        assess(case)

    # -- revealing ----------------------------------------------------------------------------

    @property
    def reveal_seconds(self) -> int:
        """Seconds for which a revealed item stays readable: a setting of the case."""
        return self.case.settings.reveal_seconds

    def reveal(self, kind: str, ref: str, reason: str) -> None:
        """Make one item readable for a while, having written to custody who asked and why.

        Raises:
            IrkitError: custody could not be written; the item stays masked.
        """
        if not reason.strip():
            raise IrkitError("a reason is needed to reveal", "say what you need to check")
        with self.writing() as case:
            case.custody.append(
                "reveal", kind=kind, item=ref, reason=reason.strip(), seconds=self.reveal_seconds
            )
        self._reveals[ref] = self._monotonic()

    def revealed(self, ref: str) -> bool:
        """True while the item may be shown."""
        since = self._reveals.get(ref)
        if since is None:
            return False
        if self._monotonic() - since >= self.reveal_seconds:
            del self._reveals[ref]
            return False
        return True

    def reveal_left(self) -> int:
        """Seconds until everything is masked again; 0 where nothing is revealed."""
        now = self._monotonic()
        left = [
            self.reveal_seconds - (now - since)
            for ref, since in list(self._reveals.items())
            if self.revealed(ref)
        ]
        return max((math.ceil(seconds) for seconds in left), default=0)

    def mask_others(self, ref: str) -> bool:
        """Mask every item but one, because a person moved on; True where any was revealed."""
        left = [name for name in self._reveals if name != ref]
        for name in left:
            del self._reveals[name]
        return bool(left)

    def mask_all(self) -> None:
        """Mask every revealed item now."""
        self._reveals.clear()
