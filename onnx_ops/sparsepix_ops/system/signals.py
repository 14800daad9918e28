"""Signals that end a command: they become an exception, which waits while something must not stop half way.

Little of the standard library is imported here, and nothing else: commands begin with this module.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN = 0.1  # seconds
_PATIENCE = 300  # times that


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


def status_of(error: KeyboardInterrupt) -> int:
    """Exit status that a shell expects: 130 after SIGINT, 143 after SIGTERM, 129 after SIGHUP."""
    return 128 + (error.number if isinstance(error, Interrupted) else signal.SIGINT)


def heard() -> tuple[int, ...]:
    """Those of ``NUMBERS`` that may be handled here.

    Python handles signals in the main thread. What was ignored when the process started stays so: SIGHUP under nohup,
    SIGINT in the background of a script.
    """
    if threading.current_thread() is not threading.main_thread():
        return ()
    return tuple(number for number in NUMBERS if signal.getsignal(number) not in (signal.SIG_IGN, None))


@contextlib.contextmanager
def raised(leaving: bool = False) -> Iterator["Signals"]:
    """Within the block a signal raises ``Interrupted`` in the main thread, so that every 'finally' runs.

    Signals that come while the exception is on its way out are ignored, so no cleanup stops half way. Nothing is raised
    while a package is imported, but after that: compiled modules abort or crash where their start is interrupted.
    Python drops an exception that was raised in some callbacks, and so does an 'except' that catches everything: then
    it is raised again. A process that has not come to its end by then is ended half a minute after the signal.

    Args:
        leaving: the process ends after the block: from there on signals end it at once.

    Yields:
        What came so far.
    """
    numbers, came = heard(), Signals()
    before = {number: signal.getsignal(number) for number in numbers}
    alarm, unraisable = signal.getsignal(signal.SIGALRM), sys.unraisablehook
    try:
        if numbers:
            sys.unraisablehook = lambda lost: None if lost.exc_type is Interrupted else unraisable(lost)
        for number in numbers:
            signal.signal(number, came.handle)
        yield came
    finally:
        came.over = True
        if came.first:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, alarm or signal.SIG_DFL)
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if leaving else handler)
        sys.unraisablehook = unraisable


def on_the_way() -> bool:
    """Whether a signal has been raised and the cleanup is going on; for handlers of signals."""
    error = sys.exc_info()[1]
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


def importing(frame: FrameType | None) -> bool:
    """Whether a signal came while a module was imported, where an exception may break it; for handlers of signals."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


class Signals:
    """The signals that came to a command."""

    def __init__(self) -> None:
        self.first = 0  # number of the first one
        self.over = False  # signals are ignored from now on
        self._times = 0

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Raise ``Interrupted``, unless it is on its way already."""
        if self.over:
            return
        if not self.first:
            self.first = number
            signal.signal(signal.SIGALRM, self.handle)
            signal.setitimer(signal.ITIMER_REAL, _AGAIN, _AGAIN)
        elif number == signal.SIGALRM:
            self._times += 1
            if self._times == _PATIENCE:
                os.write(2, b"error: interrupted, and ended while it was still busy\n")
                os._exit(128 + self.first)
        if not (on_the_way() or importing(frame)):
            raise Interrupted(self.first)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Within the block no signal raises anything; one that came does so at its end.

    For what has to be done as a whole: to make a temporary file and to note its name, to remove it.
    """
    came: list[int] = []
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {n: handler for n in (*NUMBERS, signal.SIGALRM) if callable(handler := signal.getsignal(n))}
    try:
        for number in before:
            signal.signal(number, lambda number, _: came.append(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came[:1]:
            signal.raise_signal(number)


def raise_lost() -> None:
    """To be called before a result is put in its place: where a signal was lost, the result may not be complete.

    Raises:
        Interrupted: a signal was lost; in the main thread only.
    """
    if isinstance(getattr(signal.getsignal(signal.SIGALRM), "__self__", None), Signals):
        signal.raise_signal(signal.SIGALRM)


@contextlib.contextmanager
def temporary_folder(prefix: str = "sparsepix-", parent: Path | None = None) -> Iterator[Path]:
    """A folder that is removed after the block, whatever signal comes.

    Args:
        prefix: of its name.
        parent: folder that it is made in; None: the system's for temporary files.
    """
    import shutil
    import tempfile

    folder = None
    try:
        with held():
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        yield folder
    finally:
        if folder is not None:
            with held():
                shutil.rmtree(folder, ignore_errors=True)
