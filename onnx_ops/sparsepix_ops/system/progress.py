"""What is going on, for whoever waits: a line that changes on a terminal, and a plain one that stays when it is done.

In a log file there is a plain line every half minute instead. rich is imported only where there is a console, so that
commands begin at once.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sparsepix_ops.system.signals import held

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WORTH_A_LINE = 2.0  # seconds: what was done faster leaves no line
_STILL = 30.0  # seconds between the lines of a log file
_REFRESH = 0.15  # seconds between two pictures on a terminal
_BAR = 20  # characters


class Step:
    """Something that takes a while; made by ``step``.

    Args:
        doing: what, for the line while it runs.
        done: what was done, for the line that stays; may be set until then. No line if it is empty.
        total: how much there is of it, if that is known.
        unit: of what is counted.
        even: each part takes as long as another, so that the rest can be told.
    """

    def __init__(self, doing: str, done: str, total: float | None = None, unit: str = "", even: bool = False) -> None:
        self.doing, self.done = doing, done
        self._unit, self._even = unit, even
        self._told: tuple[str, float, float | None] = ("", 0.0, total)  # as a whole: another thread reads it
        self._begin = time.monotonic()
        self._first = (0.0, 0.0)  # what was there when counting began, and the seconds until then

    def tell(self, text: str, reached: float = 0, total: float | None = None) -> None:
        """Say what is going on now; from any thread.

        Args:
            text: in a few words.
            reached: how much is done, in all.
            total: how much there is in all; None: that is not known.
        """
        if self._told[2] is None:
            self._first = (reached, self.seconds)
        self._told = (text, reached, total)

    def advance(self, parts: float = 1) -> None:
        """Say that so much more is done, in the thread that began the step."""
        text, reached, total = self._told
        self._told = (text, reached + parts, total)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._begin

    def __str__(self) -> str:
        text, reached, total = self._told
        counted = f"{int(reached):,} of {int(total):,} {self._unit}" if total is not None else ""
        told = ", ".join(part for part in (counted.strip(), text) if part)
        return f"{self.doing}: {told}" if told else self.doing

    def _line(self, console: "Console") -> "Text":
        """One line of a terminal."""
        from rich.text import Text

        plain = not console.encoding.startswith("utf")
        frames, block, rest = ("-\\|/", "=", " ") if plain else ("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "━", "━")
        line = Text(f"{frames[int(self.seconds * 8) % len(frames)]} {self}".replace("\n", " "))
        end, bar = Text(f" {duration(self.seconds)}"), Text()
        _, reached, total = self._told
        if total:
            full = round(min(reached / total, 1.0) * _BAR)
            bar = Text.assemble(" ", (block * full, "green"), (rest * (_BAR - full), "bright_black"))
            done, seconds = reached - self._first[0], self.seconds - self._first[1]
            if self._even and done > 0 and seconds > WORTH_A_LINE:
                end.append(f", {duration(seconds / done * (total - reached))} left")
        # Words come before the bar, where the terminal is narrow.
        if len(line) + len(bar) + len(end) < console.width:
            line += bar
        line.truncate(max(console.width - 1 - len(end), 20), overflow="crop" if plain else "ellipsis")
        return line + end


@contextmanager
def step(
    console: "Console | None",
    doing: str,
    done: str = "",
    *,
    total: float | None = None,
    unit: str = "",
    even: bool = False,
    look: Callable[[Step], None] | None = None,
) -> Iterator[Step]:
    """Show on a console what goes on in the block and for how long, and then how long it took.

    Only one at a time: a terminal has one line for them. What an exception ends leaves no line.

    Args:
        console: where; None: nowhere.
        doing: what is going on.
        done: what was done then, as 'simulation built with Verilator'; the time is appended.
        total: how much there is, where ``Step.advance`` counts.
        unit: see ``Step``.
        even: see ``Step``.
        look: called before each picture, in a thread, to find out what is going on and ``tell`` it.
    """
    current = Step(doing, done, total, unit, even)
    if console is None or console.quiet:
        yield current
        return
    with _shown(console, current, look):
        yield current
    if current.done and current.seconds >= WORTH_A_LINE:
        _print(console, f"{current.done} in {duration(current.seconds)}")


@contextmanager
def _shown(console: "Console", current: Step, look: Callable[[Step], None] | None) -> Iterator[None]:
    """Show a step, by a thread of its own, while the block runs."""
    from rich.live import Live

    # A dumb terminal moves no cursor.
    live = Live(get_renderable=lambda: current._line(console), console=console, auto_refresh=False, transient=True)
    moving, ended = console.is_interactive and not console.is_jupyter, threading.Event()

    def watch() -> None:
        while not ended.wait(_REFRESH if moving else _STILL):
            if look is not None:
                look(current)
            if moving:
                live.refresh()
            else:
                _print(console, f"{current}, {duration(current.seconds)}")

    watcher = threading.Thread(target=watch, daemon=True)
    try:
        with held():  # the cursor is hidden as a whole, or not at all
            if moving:
                live.start(refresh=True)
            watcher.start()
        yield
    finally:
        with held():
            ended.set()
            watcher.join()
            if moving:
                live.stop()


def _print(console: "Console", text: str) -> None:
    console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """A time in words: '3.4 s', '21 s', '2 min 5 s' or '1 h 2 min'."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
