"""Images and small models for the tests of ``predict``."""

import numpy as np

import sparsepix_hls as hls
from needs import NEEDS
from onnx_models import ModelBuilder
from sparsepix_hls.design.options import Options

SMALL = (1, 5, 4)


def some_images(count, shape=SMALL, seed=0):
    """Multiples of 1/64 below 4, exact in every kind of float; 1 % of the pixels."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, *shape)) / 64 * (rng.random((count, 1, *shape[1:])) < 0.01)


def small_project(folder, backend):
    """A model of 5x4 pixels, not yet compiled; its file is folder/net.onnx."""
    builder = ModelBuilder(*SMALL).image().reduce(3).conv().relu().activation()
    model = builder.flatten().dense("dense1", 2).save(folder / "net.onnx")
    return hls.translate(model, folder / backend, backend=backend, options=Options(reduce="scan"))


def compiled_project(folder, backend):
    """The same, compiled; as RTL only where there is Verilator: what is refused is refused without it."""
    project = small_project(folder, backend)
    if backend == "hls" or NEEDS["verilator"].here():
        project.compile()
    return project


def read_only(x):
    """A copy that cannot be written."""
    x = x.copy()
    x.flags.writeable = False
    return x
