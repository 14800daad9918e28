"""Tools that SparsePix starts: none of them outlives the process that started it, however that ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sparsepix_ops.system import processes

# A tool with a child of its own; notes both, and that it was asked to end.
TOOL = "trap 'echo asked >> pids; exit 1' TERM; sleep 1000 & echo $$ $! > pids.new; mv pids.new pids; wait"


def wait_for(condition, what):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def pids(folder):
    wait_for((folder / "pids").exists, "the tool did not start")
    return [int(word) for word in (folder / "pids").read_text().split() if word.isdecimal()]


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def assert_ended(folder):
    for pid in pids(folder):
        wait_for(lambda pid=pid: not running(pid), "a process is left")
    assert "asked" in (folder / "pids").read_text()


def python(code, folder):
    """A process of its own that runs code, with the tool at hand."""
    head = "import os, threading, time\nfrom pathlib import Path\nfrom sparsepix_ops.system import processes\n"
    head += f"TOOL = {TOOL!r}\n"
    return subprocess.Popen([sys.executable, "-c", head + code], cwd=folder)


def test_what_a_command_prints_and_its_status(tmp_path):
    code = "import os, sys\nsys.stdout.write('o' * 3_000_000)\nsys.stderr.write('e' * 3_000_000)\n"
    code += "sys.stdout.write(repr(sys.stdin.read()) + os.getcwd())\nsys.stdout.buffer.write(b'\\xff')\nsys.exit(3)"
    done = processes.run([sys.executable, "-c", code], tmp_path)
    assert done.returncode == 3
    assert done.stdout == "o" * 3_000_000 + f"''{tmp_path}\N{REPLACEMENT CHARACTER}"
    assert done.stderr == "e" * 3_000_000
    assert processes.run(["sh", "-c", "kill -SEGV $$"]).returncode == -signal.SIGSEGV


def test_a_command_that_cannot_be_started():
    with pytest.raises(FileNotFoundError, match="no-such-tool"):
        processes.run(["no-such-tool"])


def test_nothing_is_left_of_many_runs():
    processes.run(["true"])
    before = sorted(Path("/dev/fd").iterdir())
    for _ in range(20):
        processes.run(["true"])
    assert sorted(Path("/dev/fd").iterdir()) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_what_a_tool_leaves_in_the_background_ends_with_it(tmp_path):
    processes.run(["sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $! > pids"], tmp_path)
    wait_for(lambda: not running(pids(tmp_path)[0]), "a process is left")


def test_an_exception_ends_everything(tmp_path):
    def interrupt():
        pids(tmp_path)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        processes.run(["sh", "-c", TOOL], tmp_path)
    thread.join()
    assert_ended(tmp_path)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_tool_that_does_not_listen_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "_GRACE", 0.1)
    code = "trap '' TERM INT HUP; echo $$ > pids; while :; do sleep 1; done"
    with processes.process_group() as group:
        thread = threading.Thread(target=group.run, args=(["sh", "-c", code], tmp_path))
        thread.start()
        pids(tmp_path)
    thread.join()
    wait_for(lambda: not running(pids(tmp_path)[0]), "a process is left")


def test_what_a_tool_started_may_clean_up_after_the_tool_is_gone(tmp_path):
    """As the driver of a compiler does, which make started: it removes its temporary files on SIGTERM."""
    driver = (
        r"trap 'sleep 0.3; rm temporary; exit 1' TERM; touch temporary; echo \$\$ > pids; while :; do sleep 0.01; done"
    )
    with processes.process_group() as group:
        thread = threading.Thread(target=group.run, args=(["sh", "-c", f'sh -c "{driver}" & wait'], tmp_path, False))
        thread.start()
        pids(tmp_path)
    thread.join()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pids"]


# A tool that leaves temporary files when it is ended, as Yosys does.
UNTIDY = "touch $TMPDIR/left; mktemp > made; echo $$ > pids.new; mv pids.new pids; exec sleep 1000"


def test_no_temporary_file_of_a_tool_is_left(tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    done = processes.run(["sh", "-c", "touch $TMPDIR/left; mktemp; echo $TMPDIR"])
    assert all(Path(line).is_relative_to(temporary) for line in done.stdout.split())
    assert not list(temporary.iterdir())
    with processes.process_group() as group:
        threading.Thread(target=group.run, args=(["sh", "-c", UNTIDY], tmp_path)).start()
        pids(tmp_path)
        assert Path((tmp_path / "made").read_text().strip()).is_relative_to(temporary)
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_temporary_file_is_left_by_tools_of_a_process_that_is_killed(tmp_path, monkeypatch, number):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    process = python(f"processes.run(['sh', '-c', {UNTIDY!r}])", tmp_path)
    pids(tmp_path)
    assert list(temporary.rglob("left"))
    process.send_signal(number)
    assert process.wait() == -number
    wait_for(lambda: not list(temporary.iterdir()), "a temporary file is left")


def test_threads_share_a_group(tmp_path):
    found = []
    with processes.process_group() as group:
        folders = [tmp_path / name for name in ("a", "b")]
        for folder in folders:
            folder.mkdir()
        threads = [
            threading.Thread(target=lambda folder=folder: found.append(group.run(["sh", "-c", TOOL], folder)))
            for folder in folders
        ]
        for thread in threads:
            thread.start()
        for folder in folders:
            pids(folder)
        group.end()
        with pytest.raises(InterruptedError, match="true: not started"):
            group.run(["true"])
    for thread, folder in zip(threads, folders, strict=True):
        thread.join()
        assert_ended(folder)
    assert [done.returncode for done in found] == [1, 1]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_process_that_is_killed_takes_its_tools_along(tmp_path, number):
    """Its handlers are Python's own: SIGTERM and SIGHUP end it like SIGKILL."""
    process = python("processes.run(['sh', '-c', TOOL])", tmp_path)
    pids(tmp_path)
    process.send_signal(number)
    assert process.wait() == -number
    assert_ended(tmp_path)


def test_a_fork_does_not_keep_tools_alive(tmp_path):
    code = "threading.Thread(target=processes.run, args=(['sh', '-c', TOOL],)).start()\n"
    code += "while not Path('pids').exists(): time.sleep(0.01)\n"
    code += "if not os.fork():\n    Path('fork').write_text(str(os.getpid()))\n    time.sleep(1000)\n"
    process = python(code, tmp_path)
    wait_for((tmp_path / "fork").exists, "no fork")
    process.kill()
    process.wait()
    assert_ended(tmp_path)
    os.kill(int((tmp_path / "fork").read_text()), signal.SIGKILL)
