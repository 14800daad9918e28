"""Broken model, weight and option files: each is used, or refused with a SparsePixError that leaves nothing behind.

    python tests/tools/fuzz.py --count 100000 --seed 1         # every fuzzer, that many cases in all
    python tests/tools/fuzz.py --only options --count 500      # one of them
    python tests/tools/fuzz.py --only onnx_hls --replay 1:37   # one case again, with its traceback and its files kept

A fuzzer is a function ``mutate(rng) -> Case``; each module of ``MODULES`` has a dict ``FUZZERS`` of them by name. Exit
status 1 if anything but a SparsePixError came up, a file was left, or a case took too long.
"""

import argparse
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
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import numpy as np

from sparsepix_ops.errors import SparsePixError

MODULES = ("fuzz_onnx", "fuzz_options", "fuzz_models")
SECONDS = 20.0  # for one case
MEMORY = 6 << 30  # address space of a process of the command, in bytes
OK, REFUSED, OTHER, LEFT, SLOW = "ok", "refused", "other exceptions", "files left", "too slow"
OUTCOMES = (OK, REFUSED, OTHER, LEFT, SLOW)


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
    found: dict[str, Mutate] = {}
    for module in MODULES:
        found |= importlib.import_module(module).FUZZERS
    return found


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


def _run_chunk(name: str, seed: int, numbers: range) -> Counts:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    return run_range(fuzzers()[name], name, seed, numbers)


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
    chunks = [(name, range(i, min(i + 50, each))) for i in range(0, each, 50) for name in chosen]
    with ProcessPoolExecutor(arguments.jobs) as pool:
        running = [(name, pool.submit(_run_chunk, name, arguments.seed, numbers)) for name, numbers in chunks]
        for done, (name, result) in enumerate(running, start=1):
            found = result.result()
            counts[name].add(found)
            print("".join(f"{failure}\n" for failure in found.failures), end="", flush=True)
            if sys.stderr.isatty():
                print(f"\r{done}/{len(running)}", end="", file=sys.stderr, flush=True)
    print(table(counts))
    return int(any(found.failures for found in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
