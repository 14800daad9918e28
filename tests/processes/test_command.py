"""What the commands share: signals, errors of the user, and output that nobody reads."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system import command, signals

HEAD = """
import os, signal, sys, time
from pathlib import Path
from sparsepix_ops.system import command
from sparsepix_ops.system import signals
"""
END = "\nsys.exit(command.run(body, leaving=True))\n"
# Says that it runs, then waits; what it cleans up takes a while.
WAITING = """
def body():
    try:
        Path("ready").touch()
        time.sleep(1000)
    finally:
        time.sleep(0.5)
        Path("cleaned").touch()
"""
NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def start(code, folder, **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen([sys.executable, "-c", HEAD + code + END], cwd=folder, **options)


def wait_for(path):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", NUMBERS)
def test_signals_clean_up_and_end_as_shells_expect(tmp_path, number):
    """Another signal of each kind, and then one more, do not stop the cleanup half way."""
    process = start(WAITING, tmp_path)
    wait_for(tmp_path / "ready")
    for again in (number, *NUMBERS):
        process.send_signal(again)
        time.sleep(0.05)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    by = "" if number == signal.SIGINT else f" by {number.name}"
    assert errors == f"error: interrupted{by}\n"
    assert (tmp_path / "cleaned").exists()


LOST = {
    "caught by an 'except' for everything": """
    for _ in range(3):
        try:
            time.sleep(1000)
        except BaseException:
            pass
    time.sleep(1000)""",
    "turned into another error": """
    try:
        time.sleep(1000)
    except BaseException:
        raise ImportError("could not import a module") from None""",
    "dropped in a callback": """
    class Loud:
        def __del__(self):
            time.sleep(0.5)
    for _ in range(2):
        loud = Loud()
        del loud
    time.sleep(1000)""",
}


@pytest.mark.parametrize("installed", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_handlers_are_put_in_place(tmp_path, installed):
    code = f"""
import signal, sys
from sparsepix_ops.system import command

real = signal.signal

def install(number, handler):
    before = real(number, handler)
    if number == {int(installed)}:
        signal.signal = real
        signal.raise_signal(number)
    return before

signal.signal = install
sys.exit(command.run(lambda: print("the body"), leaving=True))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 128 + installed
    assert done.stdout == ""
    assert done.stderr.startswith("error: interrupted")
    assert "Traceback" not in done.stderr


def test_no_import_is_interrupted(tmp_path):
    """Of compiled modules some abort, some crash, and some stay half made."""
    (tmp_path / "package.py").write_text(
        "import signal, time\nfrom pathlib import Path\nPath('ready').touch()\ntime.sleep(1)\nPath('whole').touch()"
    )
    process = start("def body():\n    sys.path.insert(0, '')\n    import package\n    time.sleep(1000)", tmp_path)
    wait_for(tmp_path / "ready")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (143, "error: interrupted by SIGTERM\n")
    assert (tmp_path / "whole").exists()


@pytest.mark.parametrize("code", LOST.values(), ids=LOST)
def test_a_signal_is_not_lost(tmp_path, code):
    process = start(f"def body():\n    Path('ready').touch(){code}", tmp_path)
    wait_for(tmp_path / "ready")
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (143, "error: interrupted by SIGTERM\n")


def test_a_cleanup_that_hangs_is_left(tmp_path):
    code = WAITING.replace("0.5", "1000") + "signals._PATIENCE = 3\n"
    process = start(code, tmp_path)
    wait_for(tmp_path / "ready")
    process.send_signal(signal.SIGHUP)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (129, "error: interrupted, and ended while it was still busy\n")


@pytest.mark.parametrize("number", NUMBERS)
def test_what_was_ignored_at_the_start_stays_so(tmp_path, number):
    """As by nohup."""
    code = f"def body():\n    signal.raise_signal({int(number)})\n    print('done')\n    return 0"
    before = signal.signal(number, signal.SIG_IGN)
    try:
        process = start(code, tmp_path)
    finally:
        signal.signal(number, before)
    assert process.communicate(timeout=60) == ("done\n", "")
    assert process.returncode == 0


def test_a_reader_that_waits_does_not_keep_it(tmp_path):
    """The pipe is full, nobody reads on, and the signal comes while it writes."""
    code = "def body():\n    Path('ready').touch()\n    while True:\n        print('x' * 1000)"
    process = start(code, tmp_path)
    wait_for(tmp_path / "ready")
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 143
    process.stdout.close()
    process.stderr.close()


def shell(line, folder):
    done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.split(), done.stderr


PRINTING = """
def body():
    for line in range(30_000):
        print("line", line)
    Path("complete").touch()
    return {status}
"""


@pytest.mark.parametrize("status", [0, 1])
@pytest.mark.parametrize(
    ("redirection", "expected", "errors"),
    [
        ("| head -1", "{status}", ""),
        ("| true", "{status}", ""),
        ("2>&1 | head -1", "{status}", ""),
        (">&-", "{status}", ""),
        (">&- 2>&- <&-", "{status}", ""),
        ("> /dev/full", "2", "error: standard output: No space left on device\n"),
        ("> /dev/full 2>&1", "2", ""),
    ],
)
def test_output_that_nobody_reads(tmp_path, redirection, expected, errors, status):
    """The work is done, and its status stays: 1 means that outputs differ."""
    (tmp_path / "program.py").write_text(HEAD + PRINTING.format(status=status) + END)
    words, found = shell(f"{sys.executable} program.py {redirection}; echo ${{PIPESTATUS[0]}}", tmp_path)
    assert (words[-1], found) == (expected.format(status=status), errors)
    assert (tmp_path / "complete").exists()


def test_files_never_get_the_number_of_a_closed_output(tmp_path):
    code = """
def body():
    with open("data", "w") as file:
        os.write(1, b"printed by a library")
        file.write("mine")
    return 0
"""
    (tmp_path / "program.py").write_text(HEAD + code + END)
    shell(f"{sys.executable} program.py <&- >&- 2>&-", tmp_path)
    assert (tmp_path / "data").read_text() == "mine"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SparsePixError("conv1: too wide"), "conv1: too wide"),
        (FileNotFoundError(2, "No such file or directory", "net.onnx"), "net.onnx: No such file or directory"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("strange"), "strange"),
        (MemoryError(), "not enough memory"),
        (MemoryError("Unable to allocate 3 GiB"), "not enough memory: Unable to allocate 3 GiB"),
        (RecursionError("maximum depth"), "something in the input is nested too deeply: maximum depth"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_errors_of_the_user_are_a_line(capsys, error, message):
    def body():
        print("half of it")
        raise error

    assert command.run(body) == 2
    output = capsys.readouterr()
    assert output.out == "half of it\n"
    assert output.err.startswith(f"error: {message}")
    assert output.err.count("\n") == 1


def test_other_errors_are_ours():
    with pytest.raises(ZeroDivisionError):
        command.run(lambda: 1 // 0)


def test_called_from_python_it_leaves_everything_as_it_was():
    state = [signal.getsignal(number) for number in (*NUMBERS, signal.SIGALRM)], sys.unraisablehook, sys.stdout

    def body():
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("not reached")

    assert command.run(body, interrupted=lambda _: "") == 143
    assert (
        [signal.getsignal(number) for number in (*NUMBERS, signal.SIGALRM)],
        sys.unraisablehook,
        sys.stdout,
    ) == state
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_in_another_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(command.run(lambda: 5)))
    thread.start()
    thread.join()
    assert found == [5]


def test_signals_wait_for_what_is_done_as_a_whole(tmp_path):
    done = []

    def work(number):
        with signals.held():
            signal.raise_signal(number)
            signal.raise_signal(number)
            done.append(number)

    for number in NUMBERS:
        with signals.raised(), pytest.raises(signals.Interrupted, match=number.name):
            work(number)
    # Python's own handler of Ctrl-C waits too.
    with pytest.raises(KeyboardInterrupt):
        work(signal.SIGINT)
    assert done == [*NUMBERS, signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_result_is_not_put_in_place_after_a_lost_signal(tmp_path):
    code = """
def body():
    Path("ready").touch()
    try:
        time.sleep(1000)
    except BaseException:
        pass
    signals.raise_lost()
    Path("result").touch()
    return 0
"""
    process = start(code, tmp_path)
    wait_for(tmp_path / "ready")
    process.send_signal(signal.SIGHUP)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (129, "error: interrupted by SIGHUP\n")
    assert not (tmp_path / "result").exists()


def test_a_temporary_folder_is_removed_whatever_comes(tmp_path):

    def work():
        with signals.temporary_folder("x-", tmp_path) as folder:
            (folder / "file").touch()
            assert folder.name.startswith("x-")
            signal.raise_signal(signal.SIGTERM)

    with signals.raised(), pytest.raises(signals.Interrupted):
        work()
    assert list(tmp_path.iterdir()) == []


def test_threads_that_the_signal_caught_do_not_keep_the_process(tmp_path):
    code = "def body():\n    import threading\n    threading.Thread(target=time.sleep, args=(1000,)).start()\n"
    process = start(code + "    Path('ready').touch()\n    time.sleep(1000)", tmp_path)
    wait_for(tmp_path / "ready")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (143, "error: interrupted by SIGTERM\n")
