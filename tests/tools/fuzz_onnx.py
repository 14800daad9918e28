"""Structural mutations of ONNX files, for both backends; see ``fuzz``."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto

from fuzz import Case
from onnx_models import bases, compare
from onnx_mutations import MUTATIONS, damaged, pick
from sparsepix_hls.design.options import Options
from sparsepix_hls.flow.report import read_report
from sparsepix_hls.flow.translation import translate
from sparsepix_hls.frontend.model_file import tidy
from sparsepix_ops import reference


def mutated(rng: np.random.Generator) -> tuple[str, bytes]:
    """What was done to a model, and the file."""
    data = pick(rng, bases())
    if rng.random() < 0.15:
        return "damaged", damaged(data, rng)
    model, done = ModelProto.FromString(data), []
    for _ in range(int(rng.choice((1, 1, 1, 2, 3)))):
        mutation = pick(rng, MUTATIONS)
        done.append(mutation.__name__)
        # protobuf cannot hold it, or an earlier mutation has left nothing to change
        with contextlib.suppress(ValueError, TypeError, IndexError, AttributeError, StopIteration):
            mutation(model, rng)
    return ", ".join(done), model.SerializeToString()


def use(folder: Path, backend: str, verify: bool) -> None:
    """Translate the file, and compare what it computes in onnxruntime."""
    path = folder / "net.onnx"
    options = Options(reduce="stream") if backend == "rtl" and verify else None
    project = translate(path, folder / "out", backend=backend, options=options)
    shape = project.graph.input.shape
    model, _ = tidy(onnx.load(path))
    if not verify or np.prod(shape) > 10**5 or len(model.graph.node) > 200:  # onnxruntime takes long for a long chain
        return
    if any("ONNX Runtime" in notice for notice in read_report(project.directory)["notices"]):
        return  # the user was told that it may round, or run with another weight
    rng = np.random.default_rng(0)
    images = rng.random((3, *shape)) * (rng.random((3, *shape)) < 0.3) * 2
    exact = reference.run(model, images.astype(np.float32))
    names = [output.name for output in model.graph.output]
    exact = exact if isinstance(exact, dict) else {names[0]: exact}
    heads: set[str] = set()  # left out of the integer reference, and what follows them
    for node in model.graph.node:
        if node.op_type in ("Sigmoid", "Softmax") or heads & set(node.input):
            heads |= set(node.output)
    compare(path, images, {name: value.real for name, value in exact.items() if name not in heads})


def _fuzzer(backend: str) -> Callable[[np.random.Generator], Case]:
    def mutate(rng: np.random.Generator) -> Case:
        what, data = mutated(rng)
        verify = bool(rng.random() < 0.5)
        return Case(
            what,
            lambda folder: (folder / "net.onnx").write_bytes(data),
            lambda folder: use(folder, backend, verify),
        )

    return mutate


FUZZERS = {"onnx_hls": _fuzzer("hls"), "onnx_rtl": _fuzzer("rtl")}
