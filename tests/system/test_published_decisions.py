"""No decision of the 24 published models changes with the formats of our presets; needs their authors' repository."""

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from needs import PUBLISHED

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
import published_decisions as benchmark

# Two logits of these are equal even without our roundings: Keras and we both take the first.
TIES = {("jet", 8, "t"): [8], ("jet", 8, "m"): [67]}


@pytest.mark.published
@pytest.mark.parametrize("model", benchmark.MODELS, ids=lambda m: f"{m[0]}-{m[1]}-{m[2]}")
def test_no_decision_changes(model):
    found, error = benchmark.on_published_events(PUBLISHED, *model)
    assert len(found.ours) == len(error) == 100
    assert found.flipped == []
    assert found.ties == TIES.get(model, [])
    if model == ("neutrino", 8, "m"):  # event 29 sits on an exact rounding tie of the division by 49
        assert error[29] < 3e-3
        error[29] = 0
    assert error.max() < 2e-6


@pytest.mark.published
def test_the_formats_of_before_changed_four(monkeypatch):
    """The images of 12 bits and the averages of 10 fractional bits; so the test above can fail."""
    old = {
        ("jet", 8, "t"): ({"input_format": "ap_ufixed<12,1>"}, [8]),
        ("jet", 8, "s"): ({"input_format": "ap_ufixed<12,1>"}, [42]),
        ("mnist", 16, "t"): ({"pool_format": "ap_ufixed<16,6>"}, [15, 62]),
    }
    plain = benchmark.published_model
    for model, (formats, flipped) in old.items():
        options = {name: benchmark.sp.FixedPoint.parse(text) for name, text in formats.items()}
        monkeypatch.setattr(benchmark, "published_model", lambda *a, o=options, **k: plain(*a, **(o | k)))
        assert benchmark.on_published_events(PUBLISHED, *model)[0].flipped == flipped


def test_decisions_and_margins():
    logits = np.array([[1.0, 3.0, 3.0], [2.0, -1.0, 1.5]])
    ours = np.array([[1.0, 3.0, 3.0], [2.0, -1.0, 2.5]])
    found = benchmark.Decisions(logits, ours, np.array([1, 0]))
    assert found.flipped == [1]
    assert found.ties == [0]
    assert_array_equal(benchmark.margins(logits), [0, 0.5])
    assert_array_equal(benchmark.margins(np.array([[-0.25], [0.0]])), [0.25, 0])


def test_missing_files_are_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["published_decisions.py", str(tmp_path)])
    assert benchmark.main() == 2
    assert "expected the folders weights and hls_proj" in capsys.readouterr().out
