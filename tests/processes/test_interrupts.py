"""Commands interrupted at a few random moments, the same each time; ``tests/tools/interrupts.py`` does many more."""

import pytest

from interrupts import make_inputs, run_command, summary

pytestmark = pytest.mark.slow

COUNTS = {"dais": 8, "hls --force": 6, "hls --csim": 3, "train": 1}


@pytest.mark.interrupts
@pytest.mark.gxx
@pytest.mark.parametrize("name", COUNTS)
def test_nothing_is_lost_and_nothing_left(name, tmp_path, capsys):
    make_inputs(tmp_path, [name])
    found = run_command(name, COUNTS[name], seed=1, jobs=1, base=tmp_path)
    with capsys.disabled():
        print(f"\n{summary(name, found)}")
    assert not found.problems, "\n".join(found.problems)
