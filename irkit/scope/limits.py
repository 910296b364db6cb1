"""What a scoping run could not look at, or looked at with too little, said in words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from irkit.analyzers.pii import engine
from irkit.model import Stage

if TYPE_CHECKING:
    from irkit.case import Case

#: With at least so many answers, a corpus of which next to nothing came out is worth a doubt.
_ANSWERS, _SHARE = 200, 0.001


def limits(case: Case, *, with_corpus: bool, deep: bool) -> tuple[str, ...]:
    """Return the limits of the run that just ended.

    Args:
        case: the case, its exposures and matches stored.
        with_corpus: whether a corpus was given.
        deep: whether every response was read for names.
    """
    said: list[str] = []
    if with_corpus:
        said += _of_corpus(case)
    elif case.rows("SELECT 1 FROM query_record LIMIT 1"):
        said.append(
            "no training corpus was given: exposures rest on identifiers in the output alone and"
            " stay unverified until a reviewer confirms them"
        )
    aside = case.rows("SELECT file, count(*), min(row) FROM input_aside GROUP BY file ORDER BY 1")
    said += [
        f"{number:,} row{'s' if number > 1 else ''} of {name} could not be used (the first in line"
        f" {first:,})"
        for name, number, first in aside
    ]
    if not deep:
        said.append(
            "names and places were looked for in responses of suspected actors and in responses"
            " that share text with the corpus; identifiers and credentials in all responses"
        )
    _, missing = engine(case.settings.ner)
    if missing is not None:
        said.append(missing)
    languages: dict[str, int] = json.loads(case.meta("languages_not_covered", "{}"))
    if languages:
        names = ", ".join(f"{name} ({number:,})" for name, number in sorted(languages.items()))
        said.append(
            f"{sum(languages.values()):,} responses read for names are in languages that the models"
            f" were not made for, so names and places there can be missed: {names}"
        )
    return tuple(said)


def _of_corpus(case: Case) -> list[str]:
    """Doubts about the corpus: entries that could not be read, ids given twice, hardly a match."""
    found = case.rows(
        "SELECT detail FROM stage_progress WHERE stage = ? ORDER BY finished_at DESC, item",
        [Stage.MATCH.value],
    )
    report: dict[str, Any] = next(
        (detail for row in found if row[0] and "docs" in (detail := json.loads(row[0]))), {}
    )
    said = []
    if report.get("duplicate_ids"):
        said.append(
            f"{report['duplicate_ids']:,} corpus documents carry an id that was given before; they"
            " are kept apart as id#2 and so on"
        )
    said += [
        f"{number:,} corpus entries hold nothing to match ({reason})"
        for reason, number in sorted(report.get("skipped", {}).items())
        if number
    ]
    answers, shared = case.rows(
        "SELECT count(DISTINCT c.text_id), count(DISTINCT c.text_id) FILTER (WHERE c.text_id IN"
        " (SELECT text_id FROM corpus_match WHERE role = 'response'))"
        " FROM query_choice c JOIN query_record r USING (record_id) WHERE r.duplicate_of IS NULL"
    )[0]
    if answers >= _ANSWERS and shared < _SHARE * answers:
        docs = case.rows("SELECT count(*) FROM corpus_doc")[0][0]
        said.append(
            f"of {answers:,} different answers {shared:,} share any passage with the {docs:,}"
            " corpus documents given: either hardly anything came out, or this is not the corpus"
            " that the model was trained on, and then nothing here is ruled out"
        )
    return said
