"""What damage to some lines of a log must not do: change what the other lines give."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_cases import DATA

from irkit.case import Settings
from irkit.ingest.detect import judge, sample
from irkit.ingest.framing import SourceReader
from irkit.ingest.project import Projector
from irkit.ingest.registry import registry

#: Golden files of different kinds with one record per line: bodies whole, nested, wrapped, encoded.
FILES = ("bedrock_invocation.ndjson", "openai_pair.ndjson", "kserve.ndjson", "otlp.ndjson")
#: What may come over a line: no line feed, so that the number of lines stays.
NOISE = st.one_of(
    st.binary(max_size=12).map(lambda data: data.replace(b"\n", b" ")),
    st.sampled_from(
        [b"{", b"}", b'"', b"[", b"\\u", b"\\ud83d", b"\xff", b"\0", b"null", b",", b" "]
    ),
)


def told(projector: Projector, path, lines: list[bytes]) -> dict[str, list[dict]]:
    """The records of each line, read as a file of its own kind is read, by the line's text."""
    path.write_bytes(b"\n".join(lines) + b"\n")
    reader = SourceReader(1, path, "", Settings())
    found: dict[str, list[dict]] = {}
    fmt = shape = None
    for number, chunk in enumerate(reader.chunks()):
        texts = [text.strip() for text in chunk.lines.to_pylist()]
        if not number:
            some = sample(reader, chunk)
            verdict = judge(projector.router, registry().formats, some)
            fmt = projector.format(verdict.format_id)
            shape = projector.shape(fmt, some) if fmt else None
        records = projector.project(chunk.lines, fmt, shape).records
        for row in records.to_pylist() if len(records) else []:
            line = texts[row.pop("row_no")]
            row.pop("position", None)
            found.setdefault(line, []).append(row)
    return found


@pytest.fixture(scope="module")
def whole(projector, tmp_path_factory) -> dict[str, tuple[list[bytes], dict[str, list[dict]]]]:
    folder = tmp_path_factory.mktemp("whole")
    every = {}
    for name in FILES:
        lines = (DATA / name).read_bytes().splitlines()
        every[name] = lines, told(projector, folder / name, lines)
    return every


@given(st.data())
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_lines_that_damage_spared_give_the_same_records(projector, whole, tmp_path, data):
    lines, before = whole[data.draw(st.sampled_from(FILES))]
    hit = data.draw(st.sets(st.integers(0, len(lines) - 1), min_size=1, max_size=3))
    damaged = list(lines)
    for index in sorted(hit):
        line = lines[index]
        start = data.draw(st.integers(0, len(line)))
        end = data.draw(st.integers(start, min(len(line), start + 40)))
        damaged[index] = line[:start] + data.draw(NOISE) + line[end:]
    spared = {line.decode().strip() for at, line in enumerate(lines) if at not in hit}
    after = told(projector, tmp_path / "damaged", damaged)
    for text in spared:
        assert after.get(text) == before.get(text)
