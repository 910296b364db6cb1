"""Work on the open case: short writes, revealing, and long jobs with their questions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from textual.app import App

from irkit.case import Case, Clock
from irkit.errors import IrkitError
from irkit.model import EvidenceState, Phase
from irkit.tui.jobs import Job, Work, run_job, unexpected
from irkit.tui.messages import CaseOpened, JobFinished, JobProgressed, Written
from irkit.tui.session import CaseSession
from irkit.tui.text import line, plural
from irkit.tui.verbs import Verbs
from irkit.tui.widgets.dialogs import AskDialog, ErrorDialog, Question
from irkit.tui.widgets.picker import PickDialog


class CaseWork(App[None]):
    """The part of the application that changes things; the other part shows them."""

    def __init__(
        self,
        case: Case | None,
        clock: Clock,
        demo: tuple[Path, Path] | None,
        verbs: Verbs | None,
    ) -> None:
        super().__init__()
        self.session: CaseSession | None = None if case is None else CaseSession(case)
        self.verbs = verbs or Verbs()
        self.job: Job | None = None
        self._clock = clock
        self._demo = demo
        self._after: Callable[[Any], None] | None = None
        self._reveal_shown = False

    @property
    def clock(self) -> Clock:
        """The open case's clock; the sample incident brings its own."""
        return self.session.case.clock if self.session else self._clock

    # -- what the other part shows --------------------------------------------------------------

    def refresh_chrome(self) -> None:
        """Draw status line and job bar again."""

    def masks_changed(self) -> None:
        """Draw texts again after something was revealed or masked."""

    def case_changed(self) -> None:
        """Read the case again."""

    def show_error(self, error: IrkitError) -> None:
        """Show an error with what to do; the application lives on."""
        top = self.screen
        if isinstance(top, ErrorDialog) and top.error.message == error.message:
            return
        self.push_screen(ErrorDialog(error))

    # -- short writes -------------------------------------------------------------------------

    def write(
        self, act: Callable[[CaseSession], None], *, done: str = "", reveal: str = ""
    ) -> None:
        """Carry out a short write in its turn, off this thread; a message brings its outcome."""
        session = self.session
        if session is None:
            return

        def work() -> None:
            try:
                act(session)
            except IrkitError as error:
                self.post_message(Written(error=error))
            except Exception as error:
                self.post_message(Written(error=unexpected(error, "saving")))
            else:
                self.post_message(Written(done, reveal=reveal))

        async def in_turn() -> None:
            await asyncio.wrap_future(session.submit(work))

        self.run_worker(in_turn(), group="write", exit_on_error=False)

    def on_written(self, message: Written) -> None:
        """Tell the person, and read again what changed."""
        if message.error is not None:
            self.show_error(message.error)
            return
        if message.note:
            self.notify(message.note, markup=False, timeout=3)
        if message.reveal:
            self._reveal_shown = True
            self.masks_changed()
        else:
            self.case_changed()

    def ask_reveal(self, kind: str, ref: str) -> None:
        """Ask why, write it to custody, then show the item for as long as the case says."""
        session = self.session
        if session is None:
            return
        if session.revealed(ref):
            session.mask_all()
            self.masks_changed()
            return

        def answered(answers: dict[str, str] | None) -> None:
            if answers is not None:
                self.write(lambda s: s.reveal(kind, ref, answers["reason"]), reveal=ref)

        self.push_screen(
            AskDialog(
                f"Reveal {kind} {line(ref, 30)}",
                [Question("reason", "Why do you need to see it?")],
                detail=f"Shown for {plural(session.reveal_seconds, 'second')}, then masked again"
                " (reveal_seconds in case.toml). Your name, the time and the reason go to the"
                " custody log.",
                accept="Reveal",
            ),
            answered,
        )

    def action_mask(self) -> None:
        """Mask everything now."""
        if self.session is not None:
            self.session.mask_all()
            self.masks_changed()

    # -- long work ----------------------------------------------------------------------------

    def start_job(self, title: str, work: Work, then: Callable[[Any], None]) -> Job | None:
        """Start long work unless some is running; ``then`` gets its result on this thread."""
        if self.job is not None:
            self.notify(f"{self.job.title} is still running.", severity="warning", markup=False)
            return None
        job = self.job = Job(title, time.monotonic())
        self._after = then
        self.run_worker(
            lambda: run_job(self, job, work), thread=True, group="job", exit_on_error=False
        )
        self.refresh_chrome()
        return job

    def _case_job(
        self, title: str, act: Callable[[Case, Any], Any], then: Callable[[Any], None]
    ) -> None:
        session = self.session
        if session is None:
            return

        def work(progress: Any) -> Any:
            with session.writing(long=True) as case:
                return act(case, progress)

        job = self.start_job(title, work, then)
        if job is not None:
            job.connection = lambda: session.case.con

    def on_job_progressed(self, message: JobProgressed) -> None:
        """Draw how far the work is."""
        if self.job is not None:
            self.job.take(message.progress, time.monotonic())
            self.refresh_chrome()

    def on_job_finished(self, message: JobFinished) -> None:
        """Show what became of the work."""
        then, self._after, self.job = self._after, None, None
        self.refresh_chrome()
        if message.error is not None:
            self.show_error(message.error)
        elif message.cancelled:
            self.notify(
                f"{message.title}: cancelled. What was finished stays; run it again to continue.",
                severity="warning",
                markup=False,
            )
        elif then is not None:
            then(message.result)
        self.case_changed()

    def action_cancel_job(self) -> None:
        """Ask the running work to stop."""
        if self.job is not None:
            self.job.cancel()
            self.refresh_chrome()

    def start_demo(self, path: Path, out: Path) -> None:
        """Run the sample incident, then open its case."""
        clock = self._clock if self._demo is not None else self.verbs.sample_clock()
        opened: list[Case] = []

        def work(progress: Any) -> Any:
            case = self.verbs.open_demo(path, clock)
            opened.append(case)
            try:
                self.verbs.demo(case, out, progress)
            except BaseException:
                case.close()
                raise
            return case

        def opening(case: Any) -> None:
            self.post_message(CaseOpened(case))

        job = self.start_job("Sample incident", work, opening)
        if job is not None:
            job.connection = lambda: opened[0].con if opened else None

    def start_preserve(self) -> None:
        """Choose logs, see how they would be read, and preserve them."""
        session = self.session
        if session is None:
            return
        if self.job is not None:
            self.notify(f"{self.job.title} is still running.", severity="warning", markup=False)
            return

        def answered(logs: tuple[Path, ...] | None) -> None:
            if logs is not None:
                self._case_job(
                    "Add logs",
                    lambda case, progress: self.verbs.preserve(case, logs, progress),
                    lambda _: self.notify("Logs preserved and read.", markup=False),
                )

        self.push_screen(
            PickDialog(
                "Add logs",
                Path.cwd(),
                lambda logs: self.verbs.preview(logs, session.path),
                detail="Each file is hashed, copied read-only into the case, and read.",
            ),
            answered,
        )

    def start_scope(self) -> None:
        """Ask for corpus and register, then work out the scope."""

        def answered(answers: dict[str, str] | None) -> None:
            if answers is None:
                return
            corpus = _paths(answers["corpus"])
            register = _paths(answers["subjects"])
            self._case_job(
                "Scope",
                lambda case, progress: self.verbs.scope(
                    case, corpus, register[0] if register else None, progress
                ),
                lambda _: self.notify("Scope worked out.", markup=False),
            )

        self.push_screen(
            AskDialog(
                "Work out the scope",
                [
                    Question(
                        "corpus",
                        "Training corpus: files (empty: as last time, or none)",
                        required=False,
                    ),
                    Question("subjects", "Subject register: CSV or Parquet", required=False),
                ],
                detail="Matches answers against the corpus, replays every actor, counts people.",
                accept="Start",
            ),
            answered,
        )

    def start_assess(self) -> None:
        """Compute severity, obligations and deadlines."""
        self._case_job(
            "Assess",
            lambda case, _: self.verbs.assess(case),
            lambda _: self.notify("Severity and deadlines computed.", markup=False),
        )

    def start_verify(self) -> None:
        """Hash all evidence again."""

        def done(result: Any) -> None:
            changed = [f for f in result.evidence if f.state is EvidenceState.MISMATCH]
            if changed:
                names = ", ".join(line(Path(f.original_path).name, 40) for f in changed[:5])
                self.show_error(
                    IrkitError(
                        f"{plural(len(changed), 'file')} changed since intake: {names}",
                        "stop relying on this evidence; compare with another copy and record what"
                        " happened",
                    )
                )
            else:
                self.notify(
                    f"{plural(len(result.evidence), 'file')}: {result.state.value};"
                    f" custody chain intact, {result.custody_entries} entries.",
                    markup=False,
                )

        self._case_job("Verify", lambda case, progress: self.verbs.verify(case, progress), done)

    def start_packet(self, phase: Phase) -> None:
        """Ask where, then build the packet."""
        session = self.session
        if session is None:
            return
        stamp = self.clock().strftime("%Y%m%dT%H%MZ")
        self._ask_out(
            "Build the notification packet",
            session.path / "packets" / f"{phase.value}-{stamp}",
            "Packet",
            lambda case, out, progress: self.verbs.notify(case, out, phase, None, progress),
        )

    def start_contain(self) -> None:
        """Ask where, then write containment rules."""
        if self.session is not None:
            self._ask_out(
                "Write containment rules",
                self.session.path / "packets" / "containment",
                "Containment",
                lambda case, out, _: self.verbs.contain(case, out),
            )

    def start_remediate(self) -> None:
        """Ask where, then write the remediation manifest."""
        if self.session is not None:
            self._ask_out(
                "Write the remediation manifest",
                self.session.path / "packets" / "remediation",
                "Remediation",
                lambda case, out, _: self.verbs.remediate(case, out),
            )

    def start_export(self) -> None:
        """Ask where, then write the export files."""
        if self.session is not None:
            self._ask_out(
                "Write the export files",
                self.session.path / "packets" / "export",
                "Export",
                lambda case, out, _: self.verbs.export(case, out),
            )

    def _ask_out(
        self,
        question: str,
        proposal: Path,
        title: str,
        act: Callable[[Case, Path, Any], Any],
    ) -> None:
        def answered(answers: dict[str, str] | None) -> None:
            if answers is None:
                return
            out = Path(answers["out"]).expanduser()
            self._case_job(
                title,
                lambda case, progress: act(case, out, progress),
                lambda _: self.notify(f"{title}: written to {line(out)}", markup=False, timeout=8),
            )

        self.push_screen(
            AskDialog(question, [Question("out", "Directory", str(proposal))], accept="Write"),
            answered,
        )


def _paths(text: str) -> Sequence[Path]:
    import shlex

    try:
        return [Path(word).expanduser() for word in shlex.split(text)]
    except ValueError:
        return [Path(text).expanduser()]
