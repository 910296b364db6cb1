"""Long work in a thread: progress, cancelling, and one plain error at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import duckdb
from textual.app import App

from irkit.case import Case
from irkit.errors import IrkitError
from irkit.model import Progress, Stage
from irkit.tui.messages import JobFinished, JobProgressed

#: At most this many progress messages per second reach the screens.
PROGRESS_RATE = 20.0

Work = Callable[[Callable[[Progress], None]], Any]


class JobCancelled(BaseException):
    """Raised inside the core by the progress callback; no ``except Exception`` may swallow it."""


@dataclass(slots=True)
class StageState:
    """How far one stage of a job is."""

    stage: Stage
    done: int = 0
    total: int = 0
    unit: str = ""
    note: str = ""
    started: float = 0.0
    finished: float | None = None


@dataclass(slots=True)
class Job:
    """One piece of long work, as the screens see it."""

    title: str
    started: float
    connection: Callable[[], duckdb.DuckDBPyConnection | None] = lambda: None
    cancelled: threading.Event = field(default_factory=threading.Event)
    stages: dict[Stage, StageState] = field(default_factory=dict)
    current: StageState | None = None

    def take(self, progress: Progress, now: float) -> None:
        """Note progress; a new stage ends the one before."""
        state = self.stages.get(progress.stage)
        if state is None:
            state = self.stages[progress.stage] = StageState(progress.stage, started=now)
        if self.current is not None and self.current is not state:
            self.current.finished = now
        state.done, state.total = progress.done, progress.total
        state.unit, state.note = progress.unit, progress.note
        self.current = state

    def cancel(self) -> None:
        """Ask the work to stop at its next step, and the database to stop its query."""
        self.cancelled.set()
        connection = self.connection()
        if connection is not None:
            connection.interrupt()


def run_job(app: App[None], job: Job, work: Work) -> None:
    """Carry out a job's work in this thread and post what became of it."""
    last = 0.0

    def progress(step: Progress) -> None:
        nonlocal last
        if job.cancelled.is_set():
            raise JobCancelled
        now = time.monotonic()
        new_stage = job.current is None or job.current.stage is not step.stage
        if new_stage or now - last >= 1 / PROGRESS_RATE or step.done >= step.total > 0:
            last = now
            app.post_message(JobProgressed(step))

    try:
        result = work(progress)
    except JobCancelled:
        app.post_message(JobFinished(job.title, cancelled=True))
    except IrkitError as error:
        app.post_message(JobFinished(job.title, error=error))
    except Exception as error:
        if job.cancelled.is_set():
            # An interrupted query surfaces as the engine's own error.
            app.post_message(JobFinished(job.title, cancelled=True))
        else:
            # The text of a foreign exception may quote evidence, so only its type is shown.
            app.post_message(JobFinished(job.title, error=unexpected(error, job.title)))
    else:
        app.post_message(JobFinished(job.title, result))


def unexpected(error: BaseException, doing: str) -> IrkitError:
    """Put an unforeseen exception into words that quote nothing."""
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None:
        frames = frames.tb_next
    where = ""
    if frames is not None:
        where = f" at {frames.tb_frame.f_globals.get('__name__', '?')}:{frames.tb_lineno}"
    return IrkitError(
        f"{doing}: internal error, {type(error).__name__}{where}",
        "the case is unharmed; run the same command on the command line with --debug to see more",
    )


def case_connection(case: Case) -> Callable[[], duckdb.DuckDBPyConnection | None]:
    """Return a getter for a case's connection, for interrupting it."""
    return lambda: case.con
