"""Broken files by the thousand, of the same seed each time; ``tests/tools/fuzz.py`` runs more."""

import pytest

from fuzz import fuzzers, run_range, table

COUNTS = {"onnx_hls": 1300, "onnx_rtl": 700, "options": 400}


@pytest.mark.parametrize("name", sorted(fuzzers()))
def test_used_or_refused(name, capsys):
    found = run_range(fuzzers()[name], name, 0, range(COUNTS.get(name, 300)))
    with capsys.disabled():
        print(f"\n{table({name: found})}")
    assert not found.failures, "\n".join(found.failures[:5])
