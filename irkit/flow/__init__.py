"""The playbook's verbs over one core: what both faces call, and nothing a face may do itself.

Each verb takes an open :class:`~irkit.case.Case`, runs its stages in order, and leaves rows, a
custody entry and a stage mark.  A verb that was interrupted is simply run again: finished stages
with the same inputs are skipped, unfinished ones start over inside their own transactions.
"""

from __future__ import annotations

from irkit.flow.preserving import (
    PreserveResult,
    preserve,
    preview,
    reread,
)
from irkit.flow.reporting import (
    VerifyResult,
    assess,
    catalogue,
    contain,
    draft_pages,
    explain,
    export,
    notify,
    remediate,
    sign,
    status,
    verify,
)
from irkit.flow.reviewing import (
    ReviewPlan,
    carry_out,
    plan_review,
    review,
    review_many,
    sample_review,
    sampled,
    take_back,
)
from irkit.flow.runs import (
    SAMPLE_NOW,
    DemoResult,
    batch,
    demo,
    open_demo_case,
    sample_clock,
    sample_dir,
)
from irkit.flow.scoping import (
    ScopeResult,
    configure,
    make_baseline,
    scope,
)

__all__ = [
    "SAMPLE_NOW",
    "DemoResult",
    "PreserveResult",
    "ReviewPlan",
    "ScopeResult",
    "VerifyResult",
    "assess",
    "batch",
    "carry_out",
    "catalogue",
    "configure",
    "contain",
    "demo",
    "draft_pages",
    "explain",
    "export",
    "make_baseline",
    "notify",
    "open_demo_case",
    "plan_review",
    "preserve",
    "preview",
    "remediate",
    "reread",
    "review",
    "review_many",
    "sample_clock",
    "sample_dir",
    "sample_review",
    "sampled",
    "scope",
    "sign",
    "status",
    "take_back",
    "verify",
]
