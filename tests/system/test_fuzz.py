"""Broken files by the thousand, of the same seed each time; ``tests/tools/fuzz.py`` runs more."""

import pytest

from fuzz import DIED, OK, Chunk, fuzzers, run_chunks, run_range, table

pytestmark = pytest.mark.slow

COUNTS = {"onnx_hls": 1300, "onnx_rtl": 700, "options": 400}


@pytest.mark.parametrize("name", sorted(fuzzers()))
def test_used_or_refused(name, capsys):
    found = run_range(fuzzers()[name], name, 0, range(COUNTS.get(name, 300)))
    with capsys.disabled():
        print(f"\n{table({name: found})}")
    assert not found.failures, "\n".join(found.failures[:5])


DEADLY = """
import ctypes, os, signal, time
from fuzz import Case

def fuzzer(use):
    return lambda rng: Case("", lambda folder: None, lambda folder: use())

def hang():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])  # as native code that does not come back
    time.sleep(600)

FUZZERS = {
    "fine": fuzzer(lambda: None),
    "crash": fuzzer(lambda: ctypes.string_at(0)),
    "killed": fuzzer(lambda: os.kill(os.getpid(), signal.SIGKILL)),
    "stuck": fuzzer(hang),
    "broken": lambda rng: 1 / 0,
}
"""


def test_a_process_that_dies_fails_its_chunk_and_no_other(tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text(DEADLY)
    monkeypatch.syspath_prepend(tmp_path)
    names = ["fine", "crash", "fine", "killed", "stuck", "broken", "fine"]
    found = list(run_chunks([Chunk("deadly", name, 7, range(50, 52)) for name in names], jobs=1, stuck=2.0))
    assert [counts.outcomes for counts in found] == [{OK: 2} if name == "fine" else {DIED: 2} for name in names]
    reasons = {
        "crash": "Segmentation fault",
        "killed": "terminated abruptly",
        "stuck": "Timeout",
        "broken": "division by zero",
    }
    for name, counts in zip(names, found, strict=True):
        text = "".join(counts.failures)
        assert bool(text) == (name != "fine")
        if text:
            assert f"{name}, cases 50 ... 51 of seed 7: died: " in text
            assert f"it was at --only {name} --replay 7:50" in text
            assert reasons[name] in text
