"""Random whole networks: torch, ONNX Runtime and the integer reference give the same numbers."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from random_networks import SETTINGS, exported_and_checked, networks

PARTS, WIDE, EACH = 4, (False, True), 26  # in parts, so that several processes share them
NETWORKS = PARTS * len(WIDE) * EACH


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("wide", WIDE)
def test_torch_onnx_and_integers(part, wide):
    @settings(max_examples=EACH, **SETTINGS)
    @given(network=networks(wide=wide), seed=st.integers(0, 2**32 - 1))
    def check(network, seed):
        with tempfile.TemporaryDirectory() as folder:
            exported_and_checked(*network, seed, Path(folder) / "model.onnx")

    check()
