"""What is shown while something takes long, and what stays."""

import io
import re
import threading
import time

import pytest
from rich.console import Console

from sparsepix_hls.rtl.tools.place import phase
from sparsepix_hls.rtl.tools.project import _look
from sparsepix_ops.system import progress
from sparsepix_ops.system.progress import Step, duration, step


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(progress, "WORTH_A_LINE", 0.0)
    monkeypatch.setattr(progress, "_REFRESH", 0.01)
    monkeypatch.setattr(progress, "_STILL", 0.01)


def terminal(width=80, **options):
    return Console(file=io.StringIO(), force_terminal=True, width=width, _environ={"TERM": "xterm"}, **options)


def pictures(console):
    """The lines that a terminal showed, without control characters."""
    return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue()))


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_terminal_shows_what_goes_on_and_then_one_line():
    console = terminal(100)
    with step(console, "mapping", "3 parts mapped", total=3, unit="parts", even=True) as now:
        now.tell("[b]first[/b] :smile:", 1, 3)
        until(lambda: "left" in console.file.getvalue())
    shown = pictures(console)
    assert any(
        re.fullmatch(r". mapping: 1 of 3 parts, \[b\]first\[/b\] :smile: ━{20} \S+ s, \S+ s left", p) for p in shown
    )
    assert re.fullmatch(r"3 parts mapped in 0\.\d s", shown[-2])
    assert console.file.getvalue().index("\x1b[?25h") > console.file.getvalue().index("\x1b[?25l")


@pytest.mark.parametrize("width", [20, 40, 60])
def test_a_narrow_terminal_gets_one_line(width):
    console = terminal(width)
    with step(console, "building the simulation", total=40, unit="files") as now:
        now.tell("compiling C++ of a long name", 10, 40)
        until(lambda: "10 of" in console.file.getvalue() or width == 20)
    assert max(map(len, pictures(console))) <= max(width, 30)
    assert pictures(console)[-1] == ""


def test_a_log_file_gets_plain_lines():
    console = Console(file=io.StringIO(), width=40)
    with step(console, "building", "the whole of a rather long name built", look=lambda now: now.tell("[x] compiling")):
        until(console.file.getvalue)
    lines = console.file.getvalue().splitlines()
    assert re.fullmatch(r"building: \[x\] compiling, 0\.\d s", lines[0])
    assert re.fullmatch(r"the whole of a rather long name built in 0\.\d s", lines[-1])
    assert "\x1b" not in console.file.getvalue()


def test_what_is_short_leaves_nothing(monkeypatch):
    monkeypatch.setattr(progress, "WORTH_A_LINE", 60.0)
    monkeypatch.setattr(progress, "_STILL", 60.0)
    console = Console(file=io.StringIO())
    with step(console, "building", "built"):
        pass
    assert console.file.getvalue() == ""


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_ends_it_and_leaves_no_line(error):
    console, threads = terminal(), threading.active_count()
    with pytest.raises(error), step(console, "building", "built"):
        raise error
    assert console.file.getvalue().rindex("\x1b[?25h") > console.file.getvalue().rindex("\x1b[?25l")
    assert "built" not in console.file.getvalue()
    assert threading.active_count() == threads


def test_no_console_and_a_quiet_one(capsys):
    console = terminal(quiet=True)
    for where in (None, console):
        with step(where, "building", "built", total=2) as now:
            now.advance()
            now.tell("more", 2, 2)
    assert console.file.getvalue() == capsys.readouterr().out == ""


def test_an_ascii_terminal():
    console = terminal()
    console.file = io.TextIOWrapper(io.BytesIO(), "ascii")
    with step(console, "building", "built", total=3):
        pass
    console.file.flush()
    assert b"building: 0 of 3" in console.file.buffer.getvalue()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (119.4, "119 s"), (125, "2 min 5 s"), (3725, "1 h 2 min")],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], ""),
        (
            ["3.26.1. Executing OPT_EXPR pass (perform const folding).", "Optimizing module net."],
            "pass 3.26.1 OPT_EXPR",
        ),
        (["Info: Packing constants..", "Info: "], "packing"),
        (["Info:     at initial placer iter 2, wirelen = 673"], "placing, first guess 2"),
        (["Info:     at iteration #7, type ALL: wirelen solved = 1675, spread = 4260"], "placing, iteration 7"),
        (["Info:     iter=3 wires=9120 overused=14 overuse=14 archfail=0"], "routing, iteration 3, 14 wires overused"),
        (["Info:       4000 |      145       3507 |   24   925 |       158|"], "routing, step 4000"),
    ],
)
def test_phases_of_yosys_and_nextpnr(lines, words):
    assert phase(lines) == words


def test_parts_of_a_verilator_build(tmp_path):
    now, work = Step("building", ""), tmp_path / "make.x"
    work.mkdir()
    for name, words in (
        ("Vnet.cpp", "building: verilating"),
        ("net_sim.cpp", "building: verilating"),
        ("Vnet_classes.mk", "building: 0 of 4, compiling C++"),
        ("Vnet.o", "building: 1 of 4, compiling C++"),
    ):
        (work / name).touch()
        _look(now, tmp_path)
        assert str(now) == words
