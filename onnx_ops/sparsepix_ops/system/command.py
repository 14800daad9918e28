"""What all commands of SparsePix share: how they treat signals, errors of the user, and output that nobody reads.

Only the standard library is imported here: ``--help`` has to answer at once.
"""

import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator

from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system import signals, tools

EXIT_OK, EXIT_ERROR = 0, 2


def run(
    body: Callable[[], int],
    *,
    leaving: bool = False,
    interrupted: Callable[[str], str] = lambda what: f"error: {what}",
) -> int:
    """Run a command; an error of the user becomes one line on standard error.

    Where the reader of standard output goes away (``| head -1``), the work is done all the same, and the status is that
    of the work. Output that is lost for another reason, as on a full disk, is an error.

    Args:
        body: the command; returns its exit status.
        leaving: the process ends after this call, so signals need no handler any more. After a signal it ends at once,
            without waiting for threads that the exception caught while they began.
        interrupted: what to print after a signal (nothing if empty), made from 'interrupted', or 'interrupted by
            SIGTERM' and so on.

    Returns:
        What the body returns; 2 on an error of the user; 130, 143 or 129 after SIGINT, SIGTERM or SIGHUP.
    """
    output = None
    try:
        with signals.raised(leaving) as came, _output("stdout") as output, _output("stderr"):
            try:
                try:
                    status = _status(body, output, came)
                except Exception:
                    # Packages turn what is raised while they are imported into an error of their own.
                    if came.first:
                        raise signals.Interrupted(came.first) from None
                    raise
                came.over = True
            except KeyboardInterrupt as error:
                came.over = True
                status = _interrupted(error, output, interrupted, leaving)
            return status
    except KeyboardInterrupt as error:  # came while the handlers were put in place
        return _interrupted(error, output, interrupted, leaving)


def _interrupted(
    error: KeyboardInterrupt, output: "_Descriptor | None", interrupted: Callable[[str], str], leaving: bool
) -> int:
    if output is not None:
        output.drop()  # its reader may be waiting for this process to end
    if text := interrupted(_what(error)):
        print(text, file=sys.stderr, flush=True)
    status = signals.status_of(error)
    if leaving:
        os._exit(status)
    return status


def _status(body: Callable[[], int], output: "_Descriptor | None", came: signals.Signals) -> int:
    try:
        with tools.needed_for("this command"):
            status = body()
        return status if _complete(output) else EXIT_ERROR
    except SystemExit:  # argparse has printed a help or a message
        if not _complete(output):
            raise SystemExit(EXIT_ERROR) from None
        raise
    except (SparsePixError, OSError, MemoryError, RecursionError, UnicodeError) as error:
        if came.first:
            raise
        _report(f"error: {_message(error)}")
        return EXIT_ERROR


def _what(error: KeyboardInterrupt) -> str:
    number = signals.status_of(error) - 128
    return "interrupted" if number == signal.SIGINT else f"interrupted by {signal.Signals(number).name}"


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, RecursionError):
        return f"something in the input is nested too deeply: {error}"
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}" if str(error) else "not enough memory"
    return str(error)


def _report(text: str) -> None:
    # What was printed before comes first, also where both go to one file.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)


def _complete(output: "_Descriptor | None") -> bool:
    """Whether all output was written; reports it otherwise."""
    if output is None:
        return True
    sys.stdout.flush()
    if output.problem is None:
        return True
    _report(f"error: standard output: {output.problem.strerror}")
    return False


class _Descriptor(io.FileIO):
    """A file descriptor whose output is dropped where it cannot be written."""

    problem: OSError | None = None
    _dropped = False

    def drop(self) -> None:
        """Write nothing from now on."""
        self._dropped = True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        try:
            return len(data) if self._dropped else super().write(data)
        except BrokenPipeError:
            pass
        except OSError as error:
            self.problem = self.problem or error
        return len(data)


@contextlib.contextmanager
def _output(name: str) -> Iterator[_Descriptor | None]:
    """Replace ``sys.stdout`` or ``sys.stderr`` for the block, unless someone else has done so.

    A descriptor that was closed when the process started becomes /dev/null: else the next file that is opened would
    get its number, and what is printed.
    """
    before, original, number = getattr(sys, name), getattr(sys, f"__{name}__"), {"stdout": 1, "stderr": 2}[name]
    if before is not original:
        yield None
        return
    for descriptor in range(number + 1):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    descriptor = _Descriptor(number, "w", closefd=False)
    encoding, errors = (before.encoding, before.errors) if before is not None else ("utf-8", "backslashreplace")
    if before is not None:
        with contextlib.suppress(OSError):
            before.flush()
    lines = name == "stderr" or descriptor.isatty()
    setattr(sys, name, io.TextIOWrapper(io.BufferedWriter(descriptor), encoding, errors, line_buffering=lines))
    try:
        yield descriptor
    finally:
        getattr(sys, name).flush()
        setattr(sys, name, before)
