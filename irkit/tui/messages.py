"""What worker threads tell the application; they never touch a widget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.message import Message

from irkit.case import Case
from irkit.case.views import DeadlineRow, EvidenceSummary
from irkit.errors import IrkitError
from irkit.model import Progress

if TYPE_CHECKING:
    from irkit.tui.session import CaseSession


@dataclass(frozen=True, slots=True)
class Head:
    """Facts of the status line."""

    title: str
    synthetic: bool
    deadline: DeadlineRow | None
    evidence: EvidenceSummary


@dataclass(frozen=True, slots=True)
class NextStep:
    """A step of the playbook that can be worked on, and its phase."""

    step_id: str
    words: str
    phase: str


class Fetched(Message):
    """A query for a screen is answered; ``token`` tells a stale answer from the last one asked."""

    bubble = False

    def __init__(self, name: str, token: int, data: Any) -> None:
        super().__init__()
        self.name = name
        self.token = token
        self.data = data


class FetchFailed(Message):
    """A query for a screen failed."""

    bubble = False

    def __init__(self, name: str, token: int, error: IrkitError) -> None:
        super().__init__()
        self.name = name
        self.token = token
        self.error = error


class HeadRead(Message):
    """The status line's facts are read."""

    def __init__(self, session: CaseSession, head: Head) -> None:
        super().__init__()
        self.session = session
        self.head = head


class StepsRead(Message):
    """The playbook steps that can be worked on are read."""

    def __init__(self, session: CaseSession, steps: tuple[NextStep, ...]) -> None:
        super().__init__()
        self.session = session
        self.steps = steps


class JobProgressed(Message):
    """Long work went on."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress


class JobFinished(Message):
    """Long work ended: with a result, an error, or neither where it was cancelled."""

    def __init__(
        self,
        title: str,
        result: Any = None,
        error: IrkitError | None = None,
        *,
        cancelled: bool = False,
    ) -> None:
        super().__init__()
        self.title = title
        self.result = result
        self.error = error
        self.cancelled = cancelled


class CaseOpened(Message):
    """A case is open for this session."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case = case


class CaseChanged(Message):
    """Rows of the case changed: screens read again."""


class Written(Message):
    """A short write (review, decision, reveal) is done; ``note`` goes to the person."""

    def __init__(self, note: str = "", error: IrkitError | None = None, reveal: str = "") -> None:
        super().__init__()
        self.note = note
        self.error = error
        self.reveal = reveal
