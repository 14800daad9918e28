"""Every choice of hardware gives the same bits: networks and events through kernels, reuse and ports."""

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from design_space import CHOICES, build, covering, every, possible
from random_networks import SETTINGS, by_name, differing, exported_and_checked, networks

PAIRS = covering()


def test_the_covering_set_covers_every_pair():
    wanted = set()
    for (i, one), (j, other) in itertools.combinations(enumerate(CHOICES.values()), 2):
        wanted |= {(i, a, j, b) for a, b in itertools.product(one, other)}
    wanted = {(i, a, j, b) for i, a, j, b in wanted if any(v[i] == a and v[j] == b for v in every())}
    found = {(i, v[i], j, v[j]) for v in PAIRS for i, j in itertools.combinations(range(len(CHOICES)), 2)}
    assert found == wanted
    assert all(possible(values) for values in PAIRS)
    assert len(PAIRS) < len(every()) / 8


def check(values, examples, backends):
    """Random networks for a combination, whose builds compute what they should, whatever events came before."""

    @settings(max_examples=examples, **SETTINGS)
    @given(network=networks(), seed=st.integers(0, 2**32 - 1), pixels=st.integers(1, 20))
    def one(network, seed, pixels):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            images, expected = exported_and_checked(*network, seed, path)
            project = build(path, Path(folder) / "firmware", values, pixels)
            for backend in backends:
                project.compile(backend)
                assert not differing(project.predict(images), expected)
                turned = {name: values[::-1] for name, values in by_name(expected).items()}
                assert not differing(by_name(project.predict(images[::-1])), turned)  # nothing is left of other events

    one()


@pytest.mark.gxx
@pytest.mark.parametrize("values", PAIRS, ids=lambda values: "-".join(map(str, values)))
def test_random_networks(values):
    """A random network for each combination of the covering set, in both builds."""
    check(values, 1, ("native", "ap_fixed"))


# One of each way to reduce with each port, each with other kernels.
SYNTHESIS = list({(values[0], values[-1]): values for values in PAIRS}.values())


@pytest.mark.gxx
@pytest.mark.parametrize("values", SYNTHESIS, ids=lambda values: "-".join(map(str, values)))
def test_random_networks_as_synthesis_reads_them(values, as_synthesis):
    """Multiplexer trees, trees of sums and plain constants instead of what simulation has in their place."""
    check(values, 1, ("ap_fixed",))
