"""A command in a fork of a process that has imported what takes the command most of its time.

A training of a second spends seven on imports, so nearly all signals at random moments meet these, and none its files.
"""

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

MODULES = ("torch", "brevitas", "sklearn.datasets", "sklearn.utils.validation", "matplotlib.figure",
           "torch._dynamo", "torch.distributed", "optuna", "rich.table", "onnxruntime")  # fmt: skip


class Preloaded:
    """Stands in for ``subprocess.Popen`` where it is waited for and signalled.

    Args:
        words: module to run as 'python -m' does, and its arguments.
        folder: to run in.
        log: file for what it prints.
        environment: of the command.
    """

    def __init__(self, words: tuple[str, ...], folder: Path, log: Path, environment: dict[str, str]) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([*MODULES])  # ours is imported by the command
        self._process = context.Process(target=_run, args=(words, folder, log, environment))
        self._process.start()
        self.pid = self._process.pid
        while self._process.is_alive() and os.getpgid(self.pid) != self.pid:  # as Popen, which returns after that
            time.sleep(0.001)

    def wait(self, timeout: float | None = None) -> int:
        """Exit status, as of ``Popen``."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("", timeout or 0)
        return self._process.exitcode

    def poll(self) -> int | None:
        """Exit status; None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Signal it, unless it has ended."""
        if self._process.is_alive():
            os.kill(self.pid, number)


def _run(words: tuple[str, ...], folder: Path, log: Path, environment: dict[str, str]) -> None:
    """What 'python -m' does, in the child."""
    os.setpgid(0, 0)
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        signal.signal(number, handler)
    os.chdir(folder)
    os.environ.update(environment)
    opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(opened, number)
    sys.argv = [*words]
    try:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()
