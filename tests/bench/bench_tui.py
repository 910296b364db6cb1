"""How soon the screens answer on a case of a million queries.

    python tests/bench/bench_tui.py [--records 1000000] [--keep DIR] [--rounds 40] [--size 120x40]

A case is filled once by direct inserts (seeded; ``--keep`` keeps it for the next run): a million
queries of four thousand keys, a hundred thousand exposures, twenty thousand people.  Printed are

- first paint, from the start of the process and from the start of the application, beside an empty
  Textual application started the same way;
- from a key to the first paint that answers it (p50, p95, largest), and until all of its result is
  drawn (p50, p95), beside the same key in a Textual ``DataTable`` of a hundred rows without any
  database, and the processor time that each key costs.  Where rows must be read, the first paint is
  the caption that says what is being read, with the rows of before still below it; a step of the
  replay paints head and curve first and the call's text when it is read.

Before each group of keys nothing happens for some seconds, so that a group measures itself and not
what the one before left to be read or collected; within a group the keys come one after the other,
as from a key held down.

Aims: first paint below one second, p95 below a tenth of a second.  On a machine that does other
work the ratio and the processor time say more than the clock; for that the load is printed, and how
much of the processors' time other programs took while keys were pressed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.pilot import Pilot

SIZE = (120, 40)
#: Seconds of rest before a group of keys: longer than the longest pause that the screens know.
REST = 5.5
KEYS, PEOPLE, EXPOSURES = 4_000, 20_000, 100_000
NOW = "2026-10-16T09:00:00+02:00"


def say(text: str) -> None:
    """Write a line of the result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


# -- the case ------------------------------------------------------------------------------------

#: Every statement reads $n (queries) or nothing; md5 stands for chance, so that runs agree.
FILL = (
    "INSERT INTO evidence_source BY NAME SELECT i::INTEGER AS source_id,"
    " 'evidence/' || i AS path, '/srv/logs/gateway-' || i || '.jsonl' AS original_path,"
    " md5('s' || i) || md5('t' || i) AS sha256, 90000000 AS bytes, 'copied' AS storage,"
    " 'verified' AS state, TIMESTAMP '2026-10-16 06:00:00' AS checked_at,"
    " 'openai' AS format, 0.98 AS format_confidence, $n // 20 AS entries, $n // 20 AS records,"
    " 0 AS blanks, 0 AS quarantined, TIMESTAMP '2026-09-14 00:00:00' AS min_event_time,"
    " TIMESTAMP '2026-10-14 00:00:00' AS max_event_time FROM range(20) t(i)",
    "INSERT INTO query_record BY NAME SELECT md5('r' || i) AS record_id,"
    " (i * 20 // $n)::INTEGER AS source_id, 'openai' AS source_format, i AS entry_no,"
    " 0 AS sub_no, i * 900 AS byte_offset, md5('raw' || i) AS raw_sha256,"
    " 'req-' || i AS request_id, TIMESTAMP '2026-09-14 00:00:00'"
    " + to_microseconds((i * (30 * 86400000000 / $n))::BIGINT) AS event_time,"
    " 'openai' AS provider, 'chat' AS operation, '/v1/chat/completions' AS endpoint,"
    " 'm-1' AS model_requested, 'm-1' AS model_served,"
    # A few busy keys, many quiet ones.
    " 'key-' || lpad((floor($k * pow((hash(i) % 1000003) / 1000003.0, 3)))::INTEGER::VARCHAR,"
    "   4, '0') AS credential_id,"
    " '192.0.2.' || (hash(i) % 250) AS client_ip, 0.7 AS temperature, true AS params_known,"
    " md5('p' || i) AS prompt_text_id, md5('a' || i) AS response_text_id, 160 AS prompt_chars,"
    " 240 AS response_chars, 1 AS turn_count, 1 AS choice_count, 'stop' AS finish_reason,"
    " false AS has_logprobs, 200 AS status_code, 'ok' AS outcome, 'full' AS content_state,"
    " 'call' AS record_kind FROM range($n) t(i)",
    "INSERT INTO text SELECT md5('p' || i), 'Question ' || i || ': '"
    " || repeat('please go on with the text from before. ', 3) FROM range($n) t(i)",
    "INSERT INTO text SELECT md5('a' || i), 'Answer ' || i || ': '"
    " || repeat('this is an ordinary sentence of an answer. ', 5) FROM range($n) t(i)",
    "INSERT INTO query_message SELECT record_id, source_id, 0, 'user', prompt_text_id"
    " FROM query_record",
    "INSERT INTO query_choice SELECT record_id, source_id, 0, response_text_id, 'stop'"
    " FROM query_record",
    "INSERT INTO record_session SELECT record_id, credential_id || '#' || (entry_no // 20000)"
    " FROM query_record",
    "INSERT INTO session BY NAME SELECT s.session_key, 'gap' AS kind, any_value(r.credential_id)"
    " AS credential_id, min(event_time) AS started, max(event_time) AS ended, count(*) AS queries"
    " FROM record_session s JOIN query_record r USING (record_id) GROUP BY 1 ORDER BY 1",
    "INSERT INTO finding BY NAME SELECT 'f-' || credential_id AS finding_id,"
    " 'credential' AS unit_kind, credential_id AS unit, []::VARCHAR[] AS members,"
    " CASE hash(credential_id) % 3 WHEN 0 THEN 'training_data_extraction'"
    " WHEN 1 THEN 'model_extraction'"
    " ELSE 'membership_inference' END AS technique,"
    " CASE WHEN hash(credential_id) % 40 = 0 THEN 'A' WHEN hash(credential_id) % 40 < 4 THEN 'B'"
    " ELSE 'C' END AS tier, 1 / (1 + hash(credential_id) % 9973)::DOUBLE AS p_value,"
    " 'conformal' AS p_kind, 0.01 AS q_value, 1.0 AS score,"
    " min(event_time) + INTERVAL 1 DAY AS onset,"
    " min(event_time) AS first_seen, max(event_time) AS last_seen, count(*) AS queries,"
    " 'bench' AS summary FROM query_record WHERE hash(credential_id) % 4 <> 3"
    " GROUP BY credential_id ORDER BY credential_id",
    "INSERT INTO detector_result BY NAME SELECT 'credential' AS unit_kind, unit,"
    " 'detector-' || d AS detector, CASE WHEN d = 0 THEN 'FOUND' ELSE 'NO_FINDINGS' END AS status,"
    " queries::INTEGER AS queries, p_value, p_kind, 'bench' AS summary"
    " FROM finding, range(20) t(d) ORDER BY unit, d",
    "INSERT INTO query_evidence SELECT record_id, 'detector-0', 1.0,"
    " ((hash(record_id) % 9973) + 1) / 9974.0, 'bench' FROM query_record"
    " WHERE hash(record_id) % 2 = 0 ORDER BY record_id",
    "INSERT INTO exposure BY NAME SELECT 'x' || lpad(i::VARCHAR, 7, '0') AS exposure_id,"
    " md5('r' || i * ($n // $x)) AS record_id, 0 AS choice,"
    " CASE WHEN hash(i) % 5 < 3 THEN 'memorised' WHEN hash(i) % 5 = 3 THEN 'unverified'"
    " ELSE 'echo' END AS provenance, 'passage' AS level, 'doc-' || hash(i) % 50000 AS doc_id,"
    " 10 AS response_start, 40 AS response_end, 30 AS matched_chars, 0 AS subtracted_chars,"
    " (20 + hash(i) % 80)::INTEGER AS leaked_chars, ['PERSON'] AS entity_types,"
    " ['contact'] AS categories, 'match' AS method, 'P•••' AS value_masked FROM range($x) t(i)",
    "INSERT INTO subject BY NAME SELECT 'S-' || lpad(i::VARCHAR, 6, '0') AS subject_key,"
    " 'P•••' AS label_masked, CASE hash(i) % 3 WHEN 0 THEN 'confirmed' WHEN 1 THEN 'probable'"
    " ELSE 'unverified' END AS status, ['contact'] AS categories, false AS special_category,"
    " false AS child, ['DE'] AS countries, 5 AS exposures, 'register' AS link_method"
    " FROM range($s) t(i)",
    "INSERT INTO exposure_subject SELECT exposure_id,"
    " 'S-' || lpad((hash(exposure_id) % $s)::VARCHAR, 6, '0') FROM exposure ORDER BY exposure_id",
    "INSERT INTO scope_count VALUES ('records', 40000, 45000, 50000, 'distinct documents'),"
    " ('subjects', 6000, 13000, 20000, 'distinct people')",
    "INSERT INTO stage_progress SELECT s, '', 'done', 'bench', TIMESTAMP '2026-10-15 12:00:00',"
    " NULL FROM (SELECT unnest(['preserve', 'ingest', 'match', 'replay', 'pii', 'scope',"
    " 'assess'])) t(s)",
)  # fmt: skip


def build(path: Path, records: int) -> None:
    """Fill a case."""
    from irkit.case import Case, fixed_clock

    values = {"n": records, "k": KEYS, "s": PEOPLE, "x": min(EXPOSURES, records)}
    with Case.create(path, title="A million queries", clock=fixed_clock(NOW)) as case:
        for statement in FILL:
            for name, value in values.items():
                statement = statement.replace(f"${name}", str(value))
            case.con.execute(statement)
        case.con.execute("CHECKPOINT")


# -- first paint, in a process of its own ---------------------------------------------------------


def child(case_path: str) -> None:
    """Start the application and print when its first screen stood; without a case, an empty one."""
    clock = time.time
    if case_path == "-":
        from textual.app import App
        from textual.widgets import Static

        class Empty(App[None]):
            def compose(self) -> Any:
                yield Static("nothing")

        app: Any = Empty()
        begun = clock()

        def complete() -> bool:
            return True
    else:
        from irkit.case import Case, fixed_clock
        from irkit.tui.app import IrkitApp

        app = IrkitApp(
            Case.open(Path(case_path), write=True, clock=fixed_clock(NOW)), clock=fixed_clock(NOW)
        )
        begun = clock()

        def complete() -> bool:
            return getattr(app.screen, "_seen_data", None) is not None

    first: list[float] = []
    display = app._display

    def painted(screen: Any, renderable: Any) -> None:
        display(screen, renderable)
        # Only a screen with something on it counts.
        if not first and screen.size.width and len(screen._compositor.visible_widgets) > 1:
            first.append(clock())

    app._display = painted

    async def run() -> None:
        async with app.run_test(size=SIZE) as pilot:
            while not (first and complete()):
                await asyncio.sleep(0.002)
            filled = clock()
            sys.stdout.write(f"{begun} {first[0]} {filled}\n")
            await pilot.pause()
            app.exit()

    asyncio.run(run())
    if getattr(app, "session", None) is not None:
        app.session.close()


def first_paint(case_path: str, rounds: int) -> list[tuple[float, float, float]]:
    """Start processes; seconds from process start, from application start, until all is drawn."""
    out = []
    for _ in range(rounds):
        begun = time.time()
        done = subprocess.run(
            [sys.executable, __file__, "--child", case_path, "--size", f"{SIZE[0]}x{SIZE[1]}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        app, first, full = map(float, done.stdout.split())
        out.append((first - begun, first - app, full - begun))
    return out


# -- keys ----------------------------------------------------------------------------------------


class Stopwatch:
    """Takes the time from a key to the paint after its effect."""

    def __init__(self, pilot: Pilot[Any]) -> None:
        self.pilot, self.app = pilot, pilot.app
        self.painted = 0.0
        display = self.app._display

        def timed(screen: Any, renderable: Any) -> None:
            display(screen, renderable)
            self.painted = time.perf_counter()

        self.app._display = timed  # type: ignore[method-assign]

    async def key(
        self, key: str, seen: Callable[[], bool], complete: Callable[[], bool] | None = None
    ) -> tuple[float, float, float]:
        """Press a key; milliseconds until its effect is drawn and until all is, and of processor.

        Args:
            key: the key in Textual's spelling.
            seen: true once the effect is in the widgets; the next paint shows it.
            complete: true once what is read in the background is in the widgets too.
        """
        await self.quiet()
        cpu, begun = time.process_time(), time.perf_counter()
        self.app.simulate_key(key)
        first = await self._paint_after(seen, begun)
        # What is all there with the first paint is not waited for again.
        waits = complete is not None and not complete()
        full = await self._paint_after(complete, begun) if complete and waits else first
        await self.quiet()
        spent = time.process_time() - cpu
        return (first - begun) * 1e3, (full - begun) * 1e3, spent * 1e3

    async def _paint_after(self, holds: Callable[[], bool], begun: float) -> float:
        while not holds():
            if time.perf_counter() - begun > 60:
                raise TimeoutError(f"nothing was drawn on {type(self.app.screen).__name__}")
            await asyncio.sleep(0)
        since = time.perf_counter()
        # A paint that came between the effect and this look counts from the look.
        while self.painted < begun or (self.painted < since - 0.05):
            if time.perf_counter() - since > 0.05:
                return since
            await asyncio.sleep(0)
        while self.painted < since and time.perf_counter() - since < 0.05:
            await asyncio.sleep(0)
        return self.painted if self.painted >= since else since

    async def rest(self) -> None:
        """Let a person look at the screen for a while."""
        await self.quiet()
        await asyncio.sleep(REST)
        await self.quiet()

    async def quiet(self) -> None:
        """Let everything under way come to rest."""
        calm = 0
        while calm < 3:
            busy = [w for w in self.app.workers if not w.is_finished]
            calm = 0 if busy else calm + 1
            await asyncio.sleep(0.01)


def busy() -> tuple[float, float]:
    """Seconds of processor time since start: of everything on this machine, and of this process."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return 0.0, time.process_time()
    idle = sum(int(fields[i]) for i in (3, 4) if i < len(fields))
    ticks = sum(int(field) for field in fields[:8])
    return (ticks - idle) / os.sysconf("SC_CLK_TCK"), time.process_time()


def at_share(values: list[float], share: float) -> float:
    """The value that this share of the measurements does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def report(name: str, taken: list[tuple[float, float, float]], base: float) -> tuple[float, float]:
    """Print a row; returns the p95 of the first paint and of the complete one."""
    first, full = [t[0] for t in taken], [t[1] for t in taken]
    p95, full95 = at_share(first, 0.95), at_share(full, 0.95)
    cpu = statistics.median(t[2] for t in taken)
    mark = "  over 100" if p95 >= 100 else "  complete over 100" if full95 >= 100 else ""
    ratio = f"{statistics.median(first) / base:5.1f}" if base else "  1.0"
    say(
        f"{name:<34}{statistics.median(first):8.1f}{p95:8.1f}{max(first):8.1f}"
        f"{statistics.median(full):10.1f}{full95:8.1f}{max(full):8.1f}{cpu:8.1f}{ratio:>7}{mark}"
    )
    return p95, full95


async def baseline(rounds: int) -> list[tuple[float, float, float]]:
    """The same key in a bare table."""
    from textual.app import App
    from textual.widgets import DataTable

    class Bare(App[None]):
        def compose(self) -> Any:
            yield DataTable(cursor_type="row")

        def on_mount(self) -> None:
            table = self.query_one(DataTable)
            table.add_columns("one", "two", "three")
            for i in range(100):
                table.add_row(str(i), "row", "x")

    app = Bare()
    app.animation_level = "none"
    async with app.run_test(size=SIZE) as pilot:
        watch = Stopwatch(pilot)
        table = app.query_one(DataTable)
        taken = []
        for _ in range(rounds):
            at = table.cursor_row
            taken.append(await watch.key("down", lambda at=at: table.cursor_row == at + 1))
        return taken


async def drive(case_path: Path, rounds: int) -> list[tuple[float, float]]:
    """Press keys on every screen that grows with the case."""
    from textual.widgets import Input

    from irkit.case import Case, fixed_clock, views
    from irkit.model import UnitKind
    from irkit.tui.app import IrkitApp
    from irkit.tui.screens.replay import ReplayScreen
    from irkit.tui.widgets.tables import PagedTable
    from irkit.tui.widgets.words import Words

    bare = await baseline(rounds)
    base = statistics.median(t[0] for t in bare)
    say(
        f"\n{'key to paint, ms':<34}{'first paint that answers':^24}{'complete':^26}"
        f"\n{'':<34}{'p50':>8}{'p95':>8}{'max':>8}{'p50':>10}{'p95':>8}{'max':>8}{'cpu':>8}"
        f"{'ratio':>7}"
    )
    report("(bare Textual table, cursor)", bare, 0)
    case = Case.open(case_path, write=True, clock=fixed_clock(NOW))
    app = IrkitApp(case, clock=fixed_clock(NOW))
    app.animation_level = "none"
    worst = []
    async with app.run_test(size=SIZE) as pilot:
        watch = Stopwatch(pilot)
        await watch.quiet()
        others, since = busy(), time.perf_counter()

        async def many(
            name: str,
            key: str,
            state: Callable[[], Any],
            times: int,
            first: Callable[[], Any] | None = None,
        ) -> None:
            await watch.rest()
            taken = []
            early = first or state
            for _ in range(times):
                before, at_first = state(), early()
                taken.append(
                    await watch.key(
                        key,
                        lambda at_first=at_first: early() != at_first,
                        lambda before=before: state() != before,
                    )
                )
            worst.append(report(name, taken, base))

        # Screens: to and fro.
        for key, place in (("2", "actors"), ("4", "exposures"), ("3", "replay"), ("8", "evidence"),
                           ("1", "overview")):  # fmt: skip
            taken = [
                await watch.key(key, lambda place=place: place == app.screen.PLACE)  # type: ignore[attr-defined]
            ]
            say(f"{'first visit to ' + place:<34}{taken[0][0]:8.1f}")
        await watch.rest()
        taken = []
        for _ in range(max(3, rounds // 6)):
            for key, place in (("2", "actors"), ("4", "exposures"), ("1", "overview")):
                taken.append(
                    await watch.key(key, lambda place=place: place == app.screen.PLACE)  # type: ignore[attr-defined]
                )
        worst.append(report("screen switch", taken, base))

        for key, name in (("2", "actors"), ("4", "exposures")):
            await pilot.press(key)
            await watch.quiet()
            table = app.screen.query_one(f"#{name}", PagedTable)
            caption = app.screen.query_one("#caption", Words)

            def words(caption: Words = caption) -> str:
                return str(caption.content)

            await many(f"{name}: cursor down", "j", lambda table=table: table.selected_key, rounds)
            # From the top, and only as often as there is a screen left of this page of rows.
            await pilot.press("g")
            await many(
                f"{name}: page down (screen)", "pagedown",
                lambda table=table: table.selected_key, min(4, 99 // table.size.height),
            )  # fmt: skip
            await many(
                f"{name}: next 100 rows", "right_square_bracket",
                lambda table=table: table.offset_rows, 10, words,
            )  # fmt: skip
            await many(f"{name}: sort", "s", lambda table=table: table.sorted_by, 10, words)
            await watch.rest()
            taken = []
            for text in ("tier=A", "", "tier=B", "") * 3 if name == "actors" else (
                "provenance=memorised", "", "actor=key-0000", "") * 3:  # fmt: skip
                await pilot.press("slash")
                app.screen.query_one("#filter", Input).value = text
                await watch.quiet()
                before, said = table.total, words()
                taken.append(
                    await watch.key(
                        "enter",
                        lambda said=said, words=words: words() != said,
                        lambda before=before, table=table: table.total != before,
                    )
                )
            worst.append(report(f"{name}: filter", taken, base))

        # The busiest key: about sixty thousand queries.
        app.replay_actor(views.ActorKey(UnitKind.CREDENTIAL, "key-0000"))
        await watch.quiet()
        replay = app.screen
        assert isinstance(replay, ReplayScreen)
        say(f"replay of key-0000: {replay.summary.total if replay.summary else 0} queries")
        for key, name in (("right", "replay: step"), ("n", "replay: next leak")):
            await watch.rest()
            taken = []
            for _ in range(rounds):
                at = replay.position

                def all_there(at: int = at) -> bool:
                    row = replay.rows.get(replay.position)
                    return (
                        replay.position != at
                        and row is not None
                        and replay.detail is not None
                        and replay.detail.record_id == row.record_id
                    )

                taken.append(await watch.key(key, lambda at=at: replay.position != at, all_there))
            worst.append(report(name, taken, base))
        now, seconds = busy(), time.perf_counter() - since
        foreign = max(now[0] - others[0] - (now[1] - others[1]), 0.0)
        say(
            f"other programs took {foreign / seconds / (os.cpu_count() or 1):.0%} of the"
            f" processors' time meanwhile, this one {(now[1] - others[1]) / seconds:.0%} of one"
        )
    if app.session is not None:
        app.session.close()
    return worst


def main() -> None:
    """Build the case, start processes, press keys."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--size", default="120x40", help="columns x lines of the terminal")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    global SIZE
    columns, _, lines = args.size.partition("x")
    SIZE = (int(columns), int(lines))
    os.environ["XDG_STATE_HOME"] = tempfile.gettempdir() + "/bench-tui-state"
    if args.child:
        child(args.child)
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = (args.keep or Path(scratch)) / "million.irkit"
        if not path.exists():
            begun = time.perf_counter()
            path.parent.mkdir(parents=True, exist_ok=True)
            build(path, args.records)
            say(f"case of {args.records} queries built in {time.perf_counter() - begun:.0f} s")
        load, cores = os.getloadavg()[0], os.cpu_count()
        say(f"load {load:.1f} on {cores} cores, terminal {SIZE[0]} x {SIZE[1]}")
        empty, full = first_paint("-", 3), first_paint(str(path), 3)
        say(f"{'first paint, s':<34}{'process':>8}{'app':>8}{'filled':>8}")
        for name, taken in (("(empty Textual application)", empty), ("irkit on the case", full)):
            mid = [statistics.median(t[i] for t in taken) for i in range(3)]
            say(f"{name:<34}{mid[0]:8.2f}{mid[1]:8.2f}{mid[2]:8.2f}")
        worst = asyncio.run(drive(path, args.rounds))
        say(
            f"\nworst p95 {max(w[0] for w in worst):.0f} ms to the first paint that answers,"
            f" {max(w[1] for w in worst):.0f} ms to the complete one; aims: first paint of the"
            " application < 1 s, p95 < 100 ms"
        )


if __name__ == "__main__":
    main()
