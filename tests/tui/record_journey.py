"""Record the journey of the sample incident as the pictures of the README.

    python tests/tui/record_journey.py [--case DIR] [--only NAME]

Runs the sample incident (about half a minute), walks through its screens with the clock stopped and
everything masked, and writes one palette PNG per stop into ``tests/tui/pictures``. Needs the test
extra, and ``chromium`` and the font DejaVu Sans Mono on the machine: a browser draws the SVG that
the screens export. The same code and sample give the same pictures on one machine; another version
of browser or font may move pixels.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC
from pathlib import Path
from typing import Any

from PIL import Image
from textual.pilot import Pilot
from tui_driving import press, settle, shown, until

from irkit import flow
from irkit.case import Case, fixed_clock
from irkit.flow import runs
from irkit.tui.app import IrkitApp

PICTURES = Path(__file__).parent / "pictures"
SAMPLE = Path(__file__).parents[2] / "sample_logs"
SIZE = (110, 32)
#: Key of the sample that drew training records.
EXTRACTOR = "key-aec6f8107a"
#: Where the person who records stands; no path of his machine is in a picture.
PLACE = "incident"
COLOURS = 40
WIDTH = 1000
Act = Callable[[Pilot[None]], Any]


async def dry_run(pilot: Pilot[None]) -> None:
    app: Any = pilot.app
    await press(pilot, "a")
    await until(pilot, lambda: "gateway-01" in shown(app), 30)
    while "gateway-01" not in str(getattr(app.focused.cursor_node, "label", "")):
        await press(pilot, "j")
    await press(pilot, "space", "j", "space", "p")
    await until(pilot, lambda: "nothing was written" in shown(app), 60)


async def actors(pilot: Pilot[None]) -> None:
    await press(pilot, "2", *"jjj")


async def replay(pilot: Pilot[None]) -> None:
    app: Any = pilot.app
    app.go_to("actor", EXTRACTOR, "credential")
    await settle(pilot)
    await until(pilot, lambda: app.screen.summary is not None, 60)
    await press(pilot, *"nnnnnn")


async def exposures(pilot: Pilot[None]) -> None:
    await press(pilot, "4", "j", "c", "c", "x", "u")


async def people(pilot: Pilot[None]) -> None:
    await press(pilot, "4", "p", "j")


async def pages(pilot: Pilot[None]) -> None:
    app: Any = pilot.app
    await press(pilot, "7", "V")
    await until(pilot, lambda: "page 1 of" in shown(app), 60)
    await press(pilot, *["down"] * 24)


async def custody(pilot: Pilot[None]) -> None:
    await press(pilot, "8", "l", "j", "j")


def keys(*names: str) -> Act:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, *names)

    return act


STOPS: tuple[tuple[str, Act], ...] = (
    ("dry_run", dry_run),
    ("overview", keys("1")),
    ("actors", actors),
    ("replay", replay),
    ("exposures", exposures),
    ("people", people),
    ("playbook", keys("5", *"jjjjjj")),
    ("deadlines", keys("6")),
    ("notification", keys("7", "t", "t", "n")),
    ("pages", pages),
    ("custody", custody),
)


async def record(name: str, act: Act, case_path: Path) -> str:
    """Open the case (none for the first stop), walk to a stop, and return its SVG."""
    clock = fixed_clock(flow.SAMPLE_NOW)
    if name == "dry_run":
        case = Case.create(case_path, title="Chat gateway, October", clock=clock)
    else:
        case = Case.open(case_path, write=True, clock=clock)
    app = IrkitApp(case, clock=clock, zone=UTC)
    app.animation_level = "none"
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await act(pilot)
        await settle(pilot)
        assert app.session is not None and app.session.reveal_left() == 0
        svg = app.export_screenshot()
    app.session.close()
    return svg


def draw(svg: str, target: Path) -> None:
    """Draw an SVG and keep it as a small palette PNG."""
    # The exported picture names a font on the web; the machine's own must do.
    head, _, rest = svg.partition("@font-face")
    while rest:
        _, _, svg_rest = rest.partition("}")
        head, (more, _, rest) = head, svg_rest.partition("@font-face")
        head += more
    svg = head.replace("Fira Code", "DejaVu Sans Mono")
    with tempfile.TemporaryDirectory() as scratch:
        source, raw = Path(scratch, "s.svg"), Path(scratch, "s.png")
        source.write_text(svg, "utf-8")
        box = svg.partition('viewBox="0 0 ')[2].partition('"')[0].split()
        width, height = (round(float(side)) for side in box)
        subprocess.run(
            [
                "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--no-first-run", f"--user-data-dir={scratch}/profile",
                f"--window-size={width},{height}", f"--screenshot={raw}", source.as_uri(),
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        picture = Image.open(io.BytesIO(raw.read_bytes())).convert("RGB")
    picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.LANCZOS)
    # Rare colours carry meaning here; a median cut would give them up.
    picture = picture.quantize(
        COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
    )
    picture.save(target, optimize=True)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--case", type=Path, help="a finished sample.irkit instead of a new run")
    ask.add_argument("--only", help="one picture")
    chosen = ask.parse_args()
    os.environ["LOGNAME"] = "responder"
    os.environ.pop("NO_COLOR", None)
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as leave:
        # Evidence names the place it came from: one that is the same on every machine.
        place = Path(tempfile.gettempdir(), PLACE)
        if place.exists():
            raise SystemExit(f"{place} is in the way")
        leave.callback(shutil.rmtree, place)
        shutil.copytree(SAMPLE / "logs", place / "logs")
        os.environ["XDG_STATE_HOME"] = os.environ["XDG_CONFIG_HOME"] = scratch
        os.chdir(place / "logs")
        made = place / "sample.irkit"
        if chosen.case is None:
            runs.sample_dir = lambda: place  # type: ignore[assignment]
            shutil.copytree(SAMPLE, place, dirs_exist_ok=True)
            with flow.open_demo_case(made, clock=fixed_clock(flow.SAMPLE_NOW)) as case:
                flow.demo(case, place)
        else:
            shutil.copytree(chosen.case.absolute(), made)
        for name, act in STOPS:
            if chosen.only not in (None, name):
                continue
            path = place / "leak.irkit" if name == "dry_run" else place / "walk" / name
            if name != "dry_run":
                shutil.copytree(made, path)
            target = PICTURES / f"{name}.png"
            draw(asyncio.run(record(name, act, path)), target)
            print(f"{target.name}  {target.stat().st_size // 1024} KiB")  # noqa: T201


if __name__ == "__main__":
    main()
