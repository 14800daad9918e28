"""Compilers, simulators and other tools: none of them outlives the Python process that started it."""

import contextlib
import os
import select
import signal
import subprocess
import threading
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from sparsepix_ops.system.signals import held, temporary_folder

# Leads the group and waits for its standard input to end: this happens when the process that holds the other end of the
# pipe is gone, even if it was killed. A tool that gets SIGTERM removes its temporary files; not every one does, so they
# are in a folder of their own, the argument.
_LEADER = "trap '' HUP INT TERM; read line; kill -TERM 0; sleep 2; rm -rf \"$0\"; kill -KILL 0"
_GRACE = 2.0  # seconds from SIGTERM to SIGKILL


class ProcessGroup:
    """Processes that end together; made by ``process_group``.

    Args:
        temporary: folder for their temporary files, which whoever makes the group removes after it.
    """

    def __init__(self, temporary: Path) -> None:
        self._lock = threading.Lock()
        self._children: list[subprocess.Popen[str]] = []
        self._ended = False
        self._temporary = str(temporary)
        # Every process of the group, what the tools start too, inherits one end of this: the other end tells when the
        # last of them is gone. A driver of a compiler outlives the make that started it, and removes its files.
        self._gone, self._there = os.pipe()
        read, self._pipe = os.pipe()
        try:
            # A group of its own, not a session: it stays in the background of the same terminal.
            self._leader = subprocess.Popen(
                ["/bin/sh", "-c", _LEADER, self._temporary],
                stdin=read,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                process_group=0,
            )
        except BaseException:
            self._close()
            raise
        finally:
            os.close(read)
        _groups.add(self)

    def run(
        self,
        command: Sequence[str | Path],
        cwd: Path | None = None,
        capture: bool = True,
        log: Path | None = None,
        seconds: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; several threads may do so at once.

        Its folder for temporary files (TMPDIR) is one of the group, and goes with it.

        Args:
            command: the program and its arguments. Its standard input is empty.
            cwd: folder to run it in.
            capture: return what it prints; otherwise it goes where this process prints.
            log: a file that gets what it prints instead, while it runs.
            seconds: that it may take.

        Returns:
            Exit status, standard output and standard error. The status is negative after a signal.

        Raises:
            OSError: it cannot be started.
            subprocess.TimeoutExpired: it took longer; whoever has the group ends it.
            InterruptedError: the group was ended.
        """
        with contextlib.ExitStack() as files:
            output = files.enter_context(log.open("wb")) if log is not None else subprocess.PIPE if capture else None
            return self._run(command, cwd, output, seconds)

    def _run(
        self, command: Sequence[str | Path], cwd: Path | None, output: IO[bytes] | int | None, seconds: float | None
    ) -> subprocess.CompletedProcess[str]:
        with self._lock, held():
            if self._ended:
                raise InterruptedError(f"{command[0]}: not started, the others of its group were ended")
            child = subprocess.Popen(
                command,
                cwd=cwd,
                env=os.environ | {"TMPDIR": self._temporary},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                encoding="utf-8",
                errors="replace",
                process_group=self._leader.pid,
                pass_fds=[self._there],
            )
            self._children.append(child)
        try:
            out, errors = child.communicate(timeout=seconds)
        finally:
            for pipe in (child.stdout, child.stderr):
                if pipe is not None:
                    pipe.close()
        return subprocess.CompletedProcess(command, child.returncode, out or "", errors or "")

    def end(self) -> None:
        """End what still runs, and everything that it started."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
        os.close(self._there)
        self._there = -1
        try:
            if self._running(0.0):
                self._send(signal.SIGTERM)
                self._running(_GRACE)
        finally:
            self._send(signal.SIGKILL)
            self._close()
            self._leader.wait()
            for child in self._children:
                child.wait()

    def _running(self, seconds: float) -> bool:
        """Whether a process of the group is still there after so long."""
        hung_up = select.poll()
        hung_up.register(self._gone, select.POLLHUP)
        return not hung_up.poll(1000 * seconds)

    def _close(self) -> None:
        for end in (self._gone, self._there, self._pipe):
            if end >= 0:
                os.close(end)

    def _send(self, number: int) -> None:
        # The system does not reuse the number of the group until its leader has been waited for.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._leader.pid, number)

    def _forget(self) -> None:
        """In a fork of this process: the group belongs to the other one, which alone holds the pipe."""
        if not self._ended:
            self._ended = True
            self._close()


_groups: "weakref.WeakSet[ProcessGroup]" = weakref.WeakSet()


def _forget_all() -> None:
    for group in list(_groups):
        group._forget()


os.register_at_fork(after_in_child=_forget_all)


@contextlib.contextmanager
def process_group() -> Iterator[ProcessGroup]:
    """A group of processes, none of which outlives the block.

    They end when an exception leaves the block, and when this process ends, killed by SIGKILL too.
    """
    # Yosys, for one, leaves temporary files of ABC behind when it is ended.
    with temporary_folder("sparsepix-tools-") as temporary:
        group = None
        try:
            with held():
                group = ProcessGroup(temporary)
            yield group
        finally:
            if group is not None:
                with held():
                    group.end()


@contextlib.contextmanager
def process_pool(threads: int) -> Iterator[tuple[ThreadPoolExecutor, ProcessGroup]]:
    """Threads, and a group of processes for them to run.

    An exception that leaves the block ends the processes, so that no thread is waited for.

    Args:
        threads: how many.
    """
    with process_group() as group, ThreadPoolExecutor(threads) as pool:
        try:
            yield pool, group
        except BaseException:
            with held():
                pool.shutdown(wait=False, cancel_futures=True)
                group.end()
            raise


def run(
    command: Sequence[str | Path], cwd: Path | None = None, capture: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end in a group of its own; see ``ProcessGroup.run``."""
    with process_group() as group:
        return group.run(command, cwd, capture)
