"""The playbook's verbs as the screens call them: one object, so that tests can stand in for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irkit.case import Case, Clock
from irkit.model import Phase, Progress

if TYPE_CHECKING:
    from irkit.flow.reporting import DraftPages

ProgressCallback = Callable[[Progress], None]


class Verbs:
    """Calls the core.  Imports wait until a verb is used, so that the first paint comes soon."""

    def open_demo(self, path: Path, clock: Clock) -> Case:
        """Create the sample case."""
        from irkit import flow

        return flow.open_demo_case(path, clock=clock)

    def demo(self, case: Case, out: Path, progress: ProgressCallback) -> Any:
        """Run the sample incident."""
        from irkit import flow

        return flow.demo(case, out, progress=progress)

    def sample_clock(self) -> Clock:
        """The clock that belongs to the sample incident."""
        from irkit import flow

        return flow.sample_clock()

    def preview(self, logs: Sequence[Path], case: Path) -> list[str]:
        """Say in lines how files would be read into a case; nothing is written."""
        from irkit import flow

        here = f"{Path.cwd()}/"
        return [
            text.removeprefix(here)
            for file in flow.preview(logs, case=case)
            for text in file.lines()
        ]

    def preserve(self, case: Case, logs: Sequence[Path], progress: ProgressCallback) -> Any:
        """Preserve and read logs."""
        from irkit import flow

        return flow.preserve(case, logs, progress=progress)

    def scope(
        self,
        case: Case,
        corpus: Sequence[Path],
        subjects: Path | None,
        progress: ProgressCallback,
    ) -> Any:
        """Match, replay and count; then assess what was found."""
        from irkit import flow

        result = flow.scope(case, corpus=corpus, subjects=subjects, progress=progress)
        flow.assess(case)
        return result

    def assess(self, case: Case) -> Any:
        """Severity, obligations, deadlines."""
        from irkit import flow

        return flow.assess(case)

    def explain(self, case: Case, finding_id: str) -> Sequence[str]:
        """Say in sentences why an actor was flagged and what else could explain it."""
        from irkit import flow

        return flow.explain(case, finding_id)

    def verify(self, case: Case, progress: ProgressCallback) -> Any:
        """Hash all evidence again and check the custody chain."""
        from irkit import flow

        return flow.verify(case, progress=progress)

    def notify(
        self,
        case: Case,
        out: Path,
        phase: Phase,
        facts: Path | None,
        progress: ProgressCallback,
    ) -> Any:
        """Build the packet of a phase."""
        from irkit import flow

        return flow.notify(case, out, phase=phase, facts=facts, progress=progress)

    def pages(self, case: Case, phase: Phase) -> DraftPages:
        """Draw the packet for looking at, and say what changed since the last."""
        from irkit import flow

        return flow.draft_pages(case, phase)

    def contain(self, case: Case, out: Path) -> Any:
        """Write containment rules."""
        from irkit import flow

        return flow.contain(case, out)

    def remediate(self, case: Case, out: Path) -> Any:
        """Write the remediation manifest."""
        from irkit import flow

        return flow.remediate(case, out)

    def export(self, case: Case, out: Path) -> Any:
        """Write the export files."""
        from irkit import flow

        return flow.export(case, out)
