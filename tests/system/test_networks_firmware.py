"""Random whole networks through the translator and g++: the firmware gives the same numbers."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparsepix_hls
from random_networks import SETTINGS, differing, exported_and_checked, networks

pytestmark = [pytest.mark.gxx, pytest.mark.slow]
PARTS, EACH = 4, 7
NETWORKS = PARTS * EACH


@pytest.mark.parametrize("part", range(PARTS))
def test_with_firmware(part):
    """Through the translator and g++; about half with ap_fixed too, which takes g++ much longer."""

    @settings(max_examples=EACH, **SETTINGS)
    @given(network=networks(), seed=st.integers(0, 2**32 - 1))
    def check(network, seed):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            images, expected = exported_and_checked(*network, seed, path)
            project = sparsepix_hls.translate(path, output_dir=Path(folder) / "firmware", part="xcvu9p")
            for backend in ("ap_fixed", "native")[seed % 2 :]:
                project.compile(backend)
                assert not differing(project.predict(images), expected)

    check()
