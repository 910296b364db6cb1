"""A terminal for the screens to run on: it answers as told, and keeps what it was sent."""

from __future__ import annotations

import base64
import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

RUN = (
    "import sys; from pathlib import Path; from irkit.case import fixed_clock;"
    "from irkit.tui import run_tui; run_tui(Path(sys.argv[1]), clock=fixed_clock(sys.argv[2]))"
)
KITTY = {b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\": b"\x1b_Gi=31;OK\x1b\\"}
SIXEL = {b"\x1b[?1;1;0S": b"\x1b[?1;0;64S", b"\x1b[?2;1;0S": b"\x1b[?2;0;1000;1000S"}
#: Seconds of one look at the terminal.
WAIT = 0.05


class FakeTerminal:
    """Runs the screens over a case; use it as a context."""

    def __init__(
        self,
        case: Path,
        now: str,
        answers: Mapping[bytes, bytes],
        *,
        env: Mapping[str, str],
        cells: tuple[int, int] = (120, 40),
        cell: tuple[int, int] = (10, 20),
        seconds: float = 0.0,
    ) -> None:
        """Start the screens.

        Args:
            case: the case.
            now: what the clock says.
            answers: what is answered to what.
            env: changes to the environment.
            cells: columns and rows.
            cell: width and height of a cell in pixels; the terminal tells them.
            seconds: how long an answer takes.
        """
        self.out = b""
        self._answers, self._seconds = answers, seconds
        self._seen: dict[bytes, int] = {}
        self._due: list[tuple[float, bytes]] = []
        self._master, slave = pty.openpty()
        size = struct.pack("HHHH", cells[1], cells[0], cells[0] * cell[0], cells[1] * cell[1])
        fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
        clean = {k: v for k, v in os.environ.items() if k not in ("TMUX", "STY", "NO_COLOR")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(case), now],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**clean, "TERM": "xterm-256color", "TEXTUAL_ANIMATIONS": "none", **env},
        )  # fmt: skip
        os.close(slave)

    def __enter__(self) -> FakeTerminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        os.close(self._master)

    def write(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    def until(self, condition: Callable[[bytes], object], seconds: float = 40.0) -> None:
        """Go on until what was sent fulfils a condition."""
        # Waits are counted, not seconds: a busy machine may stop a test for longer than it waits.
        left = seconds / WAIT
        while not condition(self.out):
            seen = len(self.out)
            self._step()
            left -= len(self.out) == seen
            assert left > 0, f"never came; the last was {self.out[-400:]!r}"

    def quiet(self, seconds: float = 0.6) -> None:
        """Go on until nothing was sent for some time."""
        since, seen = time.monotonic(), len(self.out)
        while time.monotonic() - since < seconds or self._due:
            self._step()
            if len(self.out) != seen:
                since, seen = time.monotonic(), len(self.out)

    def end(self, keys: bytes) -> int:
        """Press keys that quit, and return the exit code."""
        self.write(keys)
        left = 20 / WAIT
        while self._process.poll() is None:
            left -= 1
            assert left > 0, "it does not quit"
            self._step()
            time.sleep(WAIT)
        return self._process.returncode

    def _step(self) -> None:
        if select.select([self._master], [], [], WAIT)[0]:
            try:
                self.out += os.read(self._master, 65536)
            except OSError:
                return
        now = time.monotonic()
        hits = []
        for question, answer in self._answers.items():
            at = self.out.find(question, self._seen.get(question, 0))
            if at >= 0:
                self._seen[question] = at + len(question)
                hits.append((at, answer))
        self._due += [(now + self._seconds, answer) for _, answer in sorted(hits)]
        while self._due and self._due[0][0] <= now:
            os.write(self._master, self._due.pop(0)[1])


def words(out: bytes) -> str:
    """The text that was sent, without the sequences and the lines between it."""
    text = re.sub(rb"\x1b[P_].*?\x1b\\", b"", out, flags=re.DOTALL)
    text = re.sub(rb"\x1b\[[0-9;:?<>=]*[ -/]*[@-~]", b"", text)
    return " ".join(re.sub("[│┃\r\n]", " ", text.decode("utf-8", "replace")).split())


def kitty_pictures(out: bytes) -> dict[int, Image]:
    """Pictures that were sent in Kitty's protocol and not taken back, by number."""
    from PIL import Image

    data: dict[int, bytes] = {}
    number, whole = 0, {}
    for keys, payload in re.findall(rb"\x1b_G([^;\x1b]*);?([^\x1b]*)\x1b\\", out):
        named = dict(part.split(b"=", 1) for part in keys.split(b",") if b"=" in part)
        number = int(named.get(b"i", number))
        if named.get(b"a") == b"d":
            whole.pop(number, None)
        elif payload and b"a" not in named:
            data[number] = data.get(number, b"") + payload
            if named.get(b"m") == b"0":
                whole[number] = Image.open(io.BytesIO(base64.b64decode(data.pop(number))))
                whole[number].load()
    return whole


def sixel_pictures(out: bytes) -> list[Image]:
    """Pictures that were sent as Sixel (DEC STD 070, chapter 9)."""
    return [_sixel(body) for body in re.findall(rb"\x1bP[\d;]*q(.*?)\x1b\\", out, re.DOTALL)]


def _sixel(body: bytes) -> Image:
    from PIL import Image

    raster = re.match(rb'"\d+;\d+;(\d+);(\d+)', body)
    assert raster is not None, "no size is given"
    made = Image.new("RGB", (int(raster[1]), int(raster[2])), "magenta")
    dots = made.load()
    assert dots is not None
    colours: dict[int, tuple[int, int, int]] = {}
    x = top = 0
    colour = (0, 0, 0)
    token = re.compile(rb"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)([?-~])|([?-~])|([$-])")
    for found in token.finditer(body, raster.end()):
        register, red, green, blue, times, run, one, move = found.groups()
        if register is not None:
            if red is not None:
                colours[int(register)] = tuple(  # type: ignore[assignment]
                    int(part) * 255 // 100 for part in (red, green, blue)
                )
            colour = colours[int(register)]
        elif move is not None:
            x, top = 0, top + (6 if move == b"-" else 0)
        else:
            bits, width = (run or one)[0] - 63, int(times or 1)
            for row in range(6):
                if bits >> row & 1 and top + row < made.height:
                    for column in range(x, min(x + width, made.width)):
                        dots[column, top + row] = colour
            x += width
    return made
