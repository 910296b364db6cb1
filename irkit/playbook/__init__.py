"""The playbook: steps and gates, legal clocks, severity, authorities, containment, remediation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irkit.playbook.assessment import Assessment, assess
    from irkit.playbook.engine import StepView, decide, steps
    from irkit.playbook.facts import Facts, facts_from_case, load_facts

_WHERE = {
    "Assessment": "assessment",
    "assess": "assessment",
    "StepView": "engine",
    "decide": "engine",
    "steps": "engine",
    "Facts": "facts",
    "facts_from_case": "facts",
    "load_facts": "facts",
}

__all__ = [
    "Assessment",
    "Facts",
    "StepView",
    "assess",
    "decide",
    "facts_from_case",
    "load_facts",
    "steps",
]


def __getattr__(name: str) -> Any:
    """Load a part only when it is asked for: the command line starts without any of them."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"irkit.playbook.{_WHERE[name]}"), name)
