"""Interrupt the commands at random moments, and see what they leave.

    python tests/tools/interrupts.py --count 200                     200 interrupts of each command
    python tests/tools/interrupts.py --count 20 --only export 'hls'  of these two
    python tests/tools/interrupts.py --only train search --preloaded  in a process that has imported torch already

SIGTERM, SIGINT (to the process group, as a terminal sends it), SIGHUP and SIGKILL take turns. The target must be as it
was before, or complete; other files unchanged; no hidden or temporary file left, no process, no traceback; the status
that of the signal, or 0 if the command was done before. SIGKILL may leave hidden files, which must not disturb the same
command afterwards. A training that goes on must end with the weights of one that was never interrupted.
"""

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import preloaded
from interrupted_commands import COMMANDS, EXPORT, Command

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL)
MARK = "SPARSEPIX_INTERRUPTED_RUN"
MARKER = ".sparsepix.json"
PATIENCE = 120.0  # seconds for a command to end after a signal
GONE = 10.0  # seconds for what it started to end after it
USER_FILES = {"notes.txt": b"mine", ".hidden": b"mine too", "other/thesis.tex": b"\\begin{document}"}
Snapshot = dict[str, str]


@dataclass
class Prepared:
    """What the runs of a command have in common.

    Args:
        folder: in the state before the command; copied for each run.
        seconds: that the command takes.
        fork: run it in forks of this process.
        old, stage, new: the target before, after its stage, and after the command.
    """

    folder: Path
    seconds: float
    fork: bool
    old: Snapshot
    stage: Snapshot
    new: Snapshot


@dataclass
class Found:
    """Outcomes of the interrupts of a command, counted, and everything that was wrong."""

    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def start(
    words: tuple[str, ...], folder: Path, mark: str = "", *, fork: bool = False
) -> subprocess.Popen[bytes] | preloaded.Preloaded:
    """Start a command; what it prints is in a file beside its folder."""
    temporary, log = folder.with_suffix(".tmp"), folder.with_suffix(".log")
    temporary.mkdir(exist_ok=True)
    environment = {MARK: mark, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    if fork:
        return preloaded.Preloaded(words, folder, log, environment)
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | environment,
            process_group=0,
        )


def finish(words: tuple[str, ...], folder: Path, *, fork: bool = False) -> None:
    """Run a command to its end."""
    status = start(words, folder, fork=fork).wait()
    if status:
        raise RuntimeError(f"{' '.join(words)}: exit status {status}\n{log_of(folder)}")


def log_of(folder: Path) -> str:
    return folder.with_suffix(".log").read_text(encoding="utf-8", errors="replace")


def digest(path: Path) -> str:
    """What a file holds, without the times that it notes."""
    if path.suffix == ".pt":  # a zip file, with a folder that is named after a temporary file
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                raise ValueError(f"{path.name} is damaged")
            return str(sorted((info.filename.partition("/")[2], info.CRC) for info in archive.infolist()))
    content = path.read_bytes()
    if path.name == "history.csv":
        rows = [line.split(",") for line in content.decode().splitlines()]
        timed = [i for i, name in enumerate(rows[0]) if "seconds" in name]
        return str([[cell for i, cell in enumerate(row) if i not in timed] for row in rows])
    if path.name == "summary.json":
        return str(json.loads(content) | {"seconds": 0})
    if path.name == MARKER and (path.parent / "options.json").exists():  # lists files of other times
        return str(sorted(json.loads(content)))
    if path.name == "history.png":
        return "picture" if content.startswith(b"\x89PNG") and b"IEND" in content else "damaged"
    return hashlib.sha256(content).hexdigest()


def snapshot(target: Path) -> Snapshot:
    """The files of a target by their paths in it, but for what was built there; empty: there is none."""
    if target.is_file():
        return {"": digest(target)}
    files = sorted(
        path for path in target.rglob("*") if path.is_file() and path.relative_to(target).parts[0] != "build"
    )
    # After the last step a checkpoint holds the time that was spent.
    return {str(path.relative_to(target)): "" if path.name == "checkpoint.pt" else digest(path) for path in files}


def prepare(command: Command, base: Path, fork: bool = False) -> Prepared:
    """Make the folder of a command, and the results of one that nobody interrupts."""
    folder = Path(tempfile.mkdtemp(dir=base)) / "run"
    shutil.copytree(base / "inputs", folder)
    if fork:
        finish(("platform",), folder, fork=True)  # the first one waits for the imports
    for words in command.before:
        if command.stop_before:
            process = start(words, folder, fork=fork)
            while not (folder / "run" / "history.csv").exists() and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            assert process.wait() == 128 + signal.SIGINT, log_of(folder)
        else:
            finish(words, folder, fork=fork)
    old = snapshot(folder / command.target)
    whole = folder.with_name("whole")
    shutil.copytree(folder, whole)
    begun, stage = time.monotonic(), {}
    finish(command.words, whole, fork=fork)
    seconds = time.monotonic() - begun
    if command.stage:
        half = folder.with_name("half")
        shutil.copytree(folder, half)
        finish(command.stage, half, fork=fork)
        stage = snapshot(half / command.target)
    return Prepared(folder, seconds, fork, old, stage, snapshot(whole / command.target))


def left_running(mark: str, group: int) -> list[str]:
    """Command lines of the processes that have the mark in their environment, or are of the process group."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = (process / "stat").read_text().rpartition(")")[2].split()[2] == str(group)
            if ours or f"{MARK}={mark}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200])
        except OSError:  # it has just ended, or is someone else's
            continue
    return found


def interrupt(command: Command, prepared: Prepared, number: int, share: float) -> Found:
    """Run a command, send it a signal after a share of its time, and look at everything."""
    folder = Path(tempfile.mkdtemp(dir=prepared.folder.parent)) / "run"
    shutil.copytree(prepared.folder, folder)
    mark, found = uuid.uuid4().hex, Found()
    begun, process = time.monotonic(), start(command.words, folder, mark, fork=prepared.fork)
    try:
        process.wait(share * prepared.seconds)
        prepared.seconds = min(prepared.seconds, time.monotonic() - begun)
    except subprocess.TimeoutExpired:
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
    try:
        status = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        found.problems.append(f"still there {PATIENCE:.0f} s after the signal")
        os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
    found.problems += _processes_left(mark, process.pid)
    found.problems += _status_problems(status, number, log_of(folder))
    outcome, problems = _files_left(command, prepared, folder, status, number)
    found.problems += problems
    if (number == signal.SIGKILL or command.trains) and outcome not in ("new", "damaged"):
        found.problems += _going_on(command, prepared, folder)
    found.outcomes[f"{signal.Signals(number).name}: {outcome}" if status else "done before"] += 1
    if found.problems:
        where = f"{signal.Signals(number).name} at {share:.3f} of {prepared.seconds:.1f} s, exit status {status}"
        found.problems = [f"{where}: {'; '.join(found.problems)}"]
    shutil.rmtree(folder.parent, ignore_errors=True)
    return found


def _processes_left(mark: str, group: int) -> list[str]:
    deadline = time.monotonic() + GONE
    while (left := left_running(mark, group)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [f"still running: {line}" for line in left]


def _status_problems(status: int, number: int, log: str) -> list[str]:
    problems = []
    # While Python itself starts, Ctrl-C has Python's own message, its status may be 1, or Python may lose it.
    if number == signal.SIGINT and not re.search(r'command.py", line \d+, in run', log) and "KeyboardInterrupt" in log:
        return [] if status in (0, 1, -number) else [f"exit status {status}: {log[-1500:]}"]
    # A signal before the command begins, or after its end, ends Python itself.
    if status not in (0, -number) and (number == signal.SIGKILL or status != 128 + number):
        problems.append(f"exit status {status}: {log[-1500:]}")
    if "Traceback" in log or "Exception ignored" in log:
        problems.append(f"a traceback: {log[-1500:]}")
    return problems


def _files_left(command: Command, prepared: Prepared, folder: Path, status: int, number: int) -> tuple[str, list[str]]:
    """What became of the target, in a word, and what is wrong with the files."""
    killed, problems, target = number == signal.SIGKILL and status != 0, [], folder / command.target
    ours = {*prepared.old, *prepared.stage, *prepared.new}
    known = {str(path.relative_to(prepared.folder)) for path in prepared.folder.rglob("*")}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name in known or name == command.target or name.startswith(f"{command.target}/"):
            continue
        if not (killed and name.startswith(".")):
            problems.append(f"left behind: {name}")
    problems += [f"changed: {name}" for name, content in USER_FILES.items() if (folder / name).read_bytes() != content]
    if not killed:
        temporary = [path.name for path in folder.with_suffix(".tmp").iterdir()]
        # torch's compiler keeps its cache there.
        problems += [f"left in the folder for temporary files: {name}" for name in temporary if "torchind" not in name]
        inside = [
            str(path.relative_to(target))
            for path in target.rglob("*")
            if path.name[0] == "." or path.suffix[1:].isdecimal()
        ]
        problems += [f"hidden or temporary in the target: {name}" for name in inside if name not in ours]
        if target.is_dir() and not any(target.iterdir()):
            problems.append("the target is left empty")
    try:
        left = {
            name: found for name, found in snapshot(target).items() if name in ours or not killed or name[:1] != "."
        }
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        return "damaged", [*problems, f"damaged: {error}"]
    if command.grows and not problems and (status or "trials.csv" in left):
        return "new" if status == 0 else "goes on", problems
    if left == prepared.new:
        return "new", problems
    if status == 0:
        problems.append(f"exit status 0, and the target is not complete: {differences(left, prepared.new)}")
    if left == prepared.old:
        return "as before", problems
    if left == prepared.stage:
        return "new, not verified" if left else "put aside", problems
    if command.trains and set(left) <= set(prepared.new) and "options.json" in left:
        return "goes on", problems
    against = prepared.new if len(set(left) & set(prepared.new)) >= len(set(left) & set(prepared.old)) else prepared.old
    return "damaged", [*problems, f"neither old nor new: {differences(left, against)}"]


def differences(found: Snapshot, expected: Snapshot) -> str:
    missing, added = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    changed = sorted(name for name in set(found) & set(expected) if found[name] != expected[name])
    return f"missing {missing}, more {added}, changed {changed}"


def _going_on(command: Command, prepared: Prepared, folder: Path) -> list[str]:
    """The same command again must end as if nothing had happened."""
    words = tuple(word for word in command.words if word != "--force") if command.trains else command.words
    if command.stage and (folder / command.target).exists():
        words += ("--force",)
    # What a kill leaves of --force may be the old target put aside, which the next command finds, or a part of it.
    left, target = snapshot(folder / command.target), folder / command.target
    aside = (target / ".sparsepix-before").is_dir() and not (target / "checkpoint.pt").exists()
    options = {state.get("options.json") for state in (left, prepared.old)}
    if "--force" in command.words and (left in (prepared.old, {}) or aside or len(options) == 1):
        words = command.words
    status = start(words, folder, fork=prepared.fork).wait()
    if status:
        return [f"the same command again: exit status {status}: {log_of(folder)[-1500:]}"]
    if command.grows:
        return []
    left = snapshot(folder / command.target)
    left = {name: found for name, found in left.items() if name in prepared.new or not name.startswith(".")}
    if left != prepared.new:
        return [f"the same command again ends differently: {differences(left, prepared.new)}"]
    return []


def make_inputs(base: Path, names: list[str]) -> None:
    """The user's folder: models as far as the commands need them, and what is not ours."""
    from onnx_models import whole_model

    folder = base / "inputs"
    for name, content in USER_FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    whole_model().save(folder / "tiny.onnx")
    if any(COMMANDS[name].words[0] == EXPORT[0] for name in names):
        save = "import torch, sys, sparsepix as sp\nfor name, size in (('model', 20), ('other', 12)):\n"
        save += "    torch.manual_seed(0)\n    sp.save(sp.models.digits(size), f'{name}.pt')"
        subprocess.run([sys.executable, "-c", save], cwd=folder, check=True)


def run_command(name: str, count: int, seed: int, jobs: int, base: Path, fork: bool = False) -> Found:
    """Interrupt a command so many times; the moments, as shares of its time, follow from the seed."""
    rng, command = random.Random(f"{seed} {name}"), COMMANDS[name]
    prepared = prepare(command, base, fork)
    first = rng.randrange(len(SIGNALS))
    moments = [(SIGNALS[(first + i) % len(SIGNALS)], rng.random()) for i in range(count)]
    total = Found()
    with ThreadPoolExecutor(jobs) as pool:
        for found in pool.map(lambda moment: interrupt(command, prepared, *moment), moments):
            total.outcomes += found.outcomes
            total.problems += found.problems
    shutil.rmtree(prepared.folder.parent)
    return total


def summary(name: str, found: Found) -> str:
    counts = ", ".join(f"{outcome} {n}" for outcome, n in sorted(found.outcomes.items()))
    return f"{name}: {found.outcomes.total()} interrupts, {len(found.problems)} failures ({counts})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="interrupts of each command (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=sorted(COMMANDS), default=list(COMMANDS), metavar="COMMAND")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="how many at once")
    parser.add_argument(
        "--preloaded", action="store_true", help="fork commands from a process that has imported torch and others"
    )
    given = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGHUP):  # nohup and a shell's '&' have them ignored, by what we start too
        signal.signal(number, signal.SIG_DFL)
    with tempfile.TemporaryDirectory(prefix="sparsepix-interrupts-") as base:
        make_inputs(Path(base), given.only)
        failures = 0
        for name in given.only:
            found = run_command(name, given.count, given.seed, given.jobs, Path(base), given.preloaded)
            failures += len(found.problems)
            print("\n    ".join([summary(name, found), *found.problems[:10]]), flush=True)
    print(f"{len(given.only) * given.count} interrupts, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
