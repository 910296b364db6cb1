"""The screens over a case; the command line loads this room only when they are asked for."""

from __future__ import annotations

from pathlib import Path

from irkit.case import Clock, system_clock


def run_tui(
    case_path: Path | None = None, *, clock: Clock = system_clock, demo_out: Path | None = None
) -> None:
    """Show the screens until the person quits.

    Args:
        case_path: the case to open, or None for the start screen.
        clock: source of "now".
        demo_out: run the sample incident into this directory first, with its case at ``case_path``.

    Raises:
        UsageError: there is no case at the path.
        CaseBusy: another process holds it.
        IrkitError: the screens failed; the case is unharmed.
    """
    from irkit.case import Case
    from irkit.tui.app import IrkitApp
    from irkit.tui.jobs import unexpected

    case = None
    demo = None
    if demo_out is not None:
        demo = (case_path or demo_out / "sample.irkit", demo_out)
    elif case_path is not None:
        case = Case.open(case_path, write=True, clock=clock)
    app = IrkitApp(case, clock=clock, demo=demo)
    try:
        app.run()
    finally:
        if app.session is not None:
            app.session.close()
    if app.failure is not None:
        raise unexpected(app.failure, "the screens") from app.failure
