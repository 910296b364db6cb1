"""Builds small cases call by call."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from irkit.analyzers.corpus import load_corpus
from irkit.analyzers.corpus_files import Corpus
from irkit.case import Case
from irkit.scope import ScopeReport, scope

START = datetime.fromisoformat("2026-10-01T12:00:00")


def text_id(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:32]


class Incident:
    """A case under construction, and what scoping makes of it."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case, self.folder = case, folder
        self.docs: list[dict] = []
        self.people: list[dict] = []
        self._calls = 0

    def call(
        self,
        prompt: str,
        *answers: str,
        key: str | None = "key-1",
        history: tuple[tuple[str, str], ...] = (),
        duplicate_of: str | None = None,
        minute: int | None = None,
    ) -> str:
        """Log one chat call; returns its record id."""
        self._calls += 1
        record = f"r{self._calls:04d}"
        at = START + timedelta(minutes=self._calls if minute is None else minute)
        messages = [*history, ("user", prompt)]
        for body in {*(body for _, body in messages), *answers}:
            if not self.case.rows("SELECT 1 FROM text WHERE text_id = ?", [text_id(body)]):
                self.case.con.execute("INSERT INTO text VALUES (?, ?)", [text_id(body), body])
        system = next((body for role, body in history if role == "system"), None)
        self.case.con.execute(
            "INSERT INTO query_record BY NAME SELECT ? AS record_id, 1 AS source_id,"
            " 'x' AS source_format, ? AS entry_no, 0 AS sub_no, ? AS request_id, ? AS event_time,"
            " ? AS credential_id, ? AS prompt_text_id, ? AS response_text_id, ? AS system_text_id,"
            " 'full' AS content_state, 'call' AS record_kind, ? AS duplicate_of",
            [record, self._calls, f"req-{record}", at, key, text_id(prompt), text_id(answers[0]),
             system and text_id(system), duplicate_of],
        )  # fmt: skip
        for pos, (role, body) in enumerate(messages):
            self.case.con.execute(
                "INSERT INTO query_message VALUES (?, 1, ?, ?, ?)",
                [record, pos, role, text_id(body)],
            )
        for choice, body in enumerate(answers):
            self.case.con.execute(
                "INSERT INTO query_choice VALUES (?, 1, ?, ?, 'stop')",
                [record, choice, text_id(body)],
            )
        return record

    def doc(self, doc_id: str, text: str, subject: str | None = None, **more: object) -> str:
        """Add a training document."""
        self.docs.append({"doc_id": doc_id, "text": text, "subject_id": subject, **more})
        return text

    def person(self, subject: str, **columns: str) -> None:
        """Add a row of the register."""
        self.people.append({"subject_id": subject, **columns})

    def corpus(self) -> Corpus:
        path = self.folder / "corpus.jsonl"
        path.write_text("\n".join(json.dumps(doc) for doc in self.docs), "utf-8")
        return load_corpus(path)

    def register(self) -> Path | None:
        if not self.people:
            return None
        names = list(dict.fromkeys(name for row in self.people for name in row))
        path = self.folder / "subjects.csv"
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, names)
            writer.writeheader()
            writer.writerows(self.people)
        return path

    def scope(self, *, corpus: bool = True, **options: bool) -> ScopeReport:
        return scope(
            self.case, self.corpus() if corpus else None, subjects=self.register(), **options
        )

    def rows(self, sql: str) -> list[tuple]:
        return self.case.rows(sql)


@pytest.fixture
def incident(case: Case, tmp_path: Path) -> Incident:
    return Incident(case, tmp_path)


@pytest.fixture
def words() -> Callable[[int, int], str]:
    """Distinct neutral words, so that the NER model finds nobody in them."""

    def made(start: int, end: int) -> str:
        return " ".join(f"word{i}" for i in range(start, end))

    return made
