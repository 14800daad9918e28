"""Broken model, weight and option files: each is used, or refused with a SparsePixError and no file left.

    python tests/tools/fuzz.py --count 100000 --seed 1         # every fuzzer, that many cases in all
    python tests/tools/fuzz.py --only options --count 500      # one of them
    python tests/tools/fuzz.py --only onnx_hls --replay 1:37   # one case again, with its traceback and its files kept

A fuzzer is a function ``mutate(rng) -> Case``; each module of ``MODULES`` has a dict ``FUZZERS`` of them by name. Exit
status 1 if anything but a SparsePixError came up, a file was left, a case took too long, or a process died of it.

What ends a process may lie in an earlier case, which wrote where it should not. glibc tells sooner with
``LD_PRELOAD=libc_malloc_debug.so.0 MALLOC_CHECK_=3``.
"""

import argparse
import faulthandler
import importlib
import io
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, TextIO

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import numpy as np

from sparsepix_ops.errors import SparsePixError

MODULES = ("fuzz_onnx", "fuzz_options", "fuzz_models")
SECONDS = 20.0  # for one case
STUCK = 100.0  # after which a process that no signal reaches, as in native code, is ended
MEMORY = 6 << 30  # address space of a process of the command, in bytes
OK, REFUSED, OTHER, LEFT, SLOW, DIED = "ok", "refused", "other exceptions", "files left", "too slow", "died"
OUTCOMES = (OK, REFUSED, OTHER, LEFT, SLOW, DIED)


@dataclass(frozen=True)
class Case:
    """One broken input.

    Args:
        what: what was done to it, for the report.
        write: puts the files into a folder that is empty.
        use: does with them what a user would, in the same folder. Raises SparsePixError where it refuses, and
            AssertionError where something that it took turned out wrong.
        makes: names of what ``use`` may leave in the folder when it succeeds.
    """

    what: str
    write: Callable[[Path], None]
    use: Callable[[Path], object]
    makes: tuple[str, ...] = ("out",)


Mutate = Callable[[np.random.Generator], Case]


@dataclass
class Counts:
    """Outcomes of one fuzzer, and a line for each case that went wrong."""

    outcomes: Counter = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: "Counts") -> None:
        self.outcomes.update(other.outcomes)
        self.failures += other.failures


class _TooSlowError(BaseException):  # nothing that catches exceptions may swallow it
    pass


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise _TooSlowError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def run_case(case: Case, folder: Path, seconds: float = SECONDS) -> tuple[str, str]:
    """Run one case in an empty folder: its outcome, and what is wrong, '' if nothing is."""
    case.write(folder)
    before, text = _files(folder), ""
    try:
        with _alarm(seconds), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            case.use(folder)
        outcome = OK
    except SparsePixError as error:
        outcome, text = REFUSED, str(error)
        if not text.strip():
            return OTHER, "a SparsePixError without a message"
    except _TooSlowError:
        return SLOW, "".join(traceback.format_exc().splitlines(keepends=True)[-6:])
    except (Exception, SystemExit):
        return OTHER, traceback.format_exc()
    may = case.makes if outcome == OK else ()
    left = sorted(name for name in _files(folder) - before if Path(name).parts[0] not in may)
    gone = sorted(before - _files(folder))
    return (LEFT, f"left: {left}, gone: {gone}") if left or gone else (outcome, "")


def _generator(name: str, seed: int, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, number, zlib.crc32(name.encode())])


def run_range(mutate: Mutate, name: str, seed: int, numbers: range, seconds: float = SECONDS) -> Counts:
    """Run some cases of a fuzzer; case ``i`` of a seed is the same whatever ran before it."""
    counts = Counts()
    for number in numbers:
        with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
            case = mutate(_generator(name, seed, number))
            outcome, problem = run_case(case, Path(folder), seconds)
        counts.outcomes[outcome] += 1
        if problem:
            counts.failures.append(f"--only {name} --replay {seed}:{number} ({case.what}): {outcome}: {problem}")
    return counts


def fuzzers() -> dict[str, Mutate]:
    """Every fuzzer, by name."""
    return {name: mutate for module in MODULES for name, mutate in _of(module).items()}


def _of(module: str) -> dict[str, Mutate]:
    return importlib.import_module(module).FUZZERS


class Chunk(NamedTuple):
    """Cases that one process runs, one after the other."""

    module: str
    fuzzer: str
    seed: int
    numbers: range


def run_chunks(chunks: Sequence[Chunk], jobs: int, stuck: float = STUCK) -> Iterator[Counts]:
    """The outcomes of chunks, in their order; where a process dies, its chunk has failed, and a new one goes on.

    Args:
        chunks: of any fuzzers.
        jobs: how many processes.
        stuck: seconds after which a case is ended that no signal reaches.
    """
    free: SimpleQueue[_Worker] = SimpleQueue()

    def run(chunk: Chunk) -> Counts:
        worker = free.get()
        try:
            return worker.run(chunk)
        finally:
            free.put(worker)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fuzz_logs")))
        for number in range(jobs):
            free.put(stack.enter_context(_Worker(folder / str(number), stuck)))
        yield from stack.enter_context(ThreadPoolExecutor(jobs)).map(run, chunks)


class _Worker:
    """A process for chunks of cases, with a file that says where it is and, if it dies, in which calls."""

    def __init__(self, log: Path, stuck: float) -> None:
        self.log, self.stuck = log, stuck
        self.pool = self._started()

    def _started(self) -> ProcessPoolExecutor:
        # A fork would take the locks along that other threads hold at that moment.
        return ProcessPoolExecutor(1, get_context("spawn"), _begin, (self.log, self.stuck))

    def __enter__(self) -> "_Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown()

    def run(self, chunk: Chunk) -> Counts:
        try:
            return self.pool.submit(_run_chunk, chunk).result()
        except Exception as error:  # the process is gone, or the fuzzer itself is broken
            self.pool.shutdown()
            self.pool = self._started()
            text = f"{chunk.fuzzer}, cases {chunk.numbers.start} ... {chunk.numbers[-1]} of seed {chunk.seed}: {DIED}: "
            log = self.log.read_text(errors="replace") if self.log.exists() else ""
            return Counts(Counter({DIED: len(chunk.numbers)}), [f"{text}{error}\n{log}"])


_log: TextIO
_stuck: float


def _begin(log: Path, stuck: float) -> None:
    global _log, _stuck
    _log, _stuck = log.open("w"), stuck
    faulthandler.enable(_log)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _run_chunk(chunk: Chunk) -> Counts:
    counts, mutate = Counts(), _of(chunk.module)[chunk.fuzzer]
    for number in chunk.numbers:
        _log.seek(0)
        _log.truncate()
        print(f"it was at --only {chunk.fuzzer} --replay {chunk.seed}:{number}", file=_log, flush=True)
        faulthandler.dump_traceback_later(_stuck, exit=True, file=_log)
        counts.add(run_range(mutate, chunk.fuzzer, chunk.seed, range(number, number + 1)))
        faulthandler.cancel_dump_traceback_later()
    return counts


def table(counts: Mapping[str, Counts]) -> str:
    """The outcomes of several fuzzers as text."""
    rows = [("fuzzer", "cases", *OUTCOMES)]
    rows += [
        (name, *(f"{n:,}" for n in (found.outcomes.total(), *(found.outcomes[o] for o in OUTCOMES))))
        for name, found in counts.items()
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _replay(mutate: Mutate, name: str, seed: int, number: int) -> int:
    folder = Path(tempfile.mkdtemp(prefix="fuzz"))
    case = mutate(_generator(name, seed, number))
    print(f"{case.what}\nfiles: {folder}")
    case.write(folder)
    try:
        case.use(folder)
    except SparsePixError as error:
        print(f"refused: {error}")
        shutil.rmtree(folder / "out", ignore_errors=True)
    return 0


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Broken model and option files by the thousand.")
    parser.add_argument("--count", type=int, default=3000, help="cases in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--only", metavar="FUZZER", choices=sorted(fuzzers()), help=", ".join(sorted(fuzzers())))
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: %(default)s)")
    parser.add_argument("--replay", metavar="SEED:NUMBER", help="one case of the fuzzer that --only names")
    arguments = parser.parse_args()
    chosen = {name: f for name, f in fuzzers().items() if arguments.only in (None, name)}
    if arguments.replay is not None:
        seed, number = arguments.replay.split(":")
        return _replay(chosen[arguments.only], arguments.only, int(seed), int(number))
    counts = {name: Counts() for name in chosen}
    each = -(-arguments.count // len(chosen))
    names = [(module, name) for module in MODULES for name in _of(module) if name in chosen]
    ranges = [range(i, min(i + 50, each)) for i in range(0, each, 50)]
    chunks = [Chunk(*name, arguments.seed, numbers) for numbers in ranges for name in names]
    for done, (chunk, found) in enumerate(zip(chunks, run_chunks(chunks, arguments.jobs), strict=True), start=1):
        counts[chunk.fuzzer].add(found)
        print("".join(f"{failure}\n" for failure in found.failures), end="", flush=True)
        if sys.stderr.isatty():
            print(f"\r{done}/{len(chunks)}", end="", file=sys.stderr, flush=True)
    print(table(counts))
    return int(any(found.failures for found in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
