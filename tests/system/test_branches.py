"""Models with branches and with several outputs: one answer from all implementations, in every kind of design."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import Tensor, nn

import sparsepix as sp
import sparsepix_hls
from design_space import nearest
from hls_pragmas import check
from random_networks import hard_images
from sparsepix_hls.design.options import Options
from sparsepix_hls.flow.report import read_report
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.project.base import CsimResult
from sparsepix_ops import reference

ROOT = Path(__file__).parents[2]
CLANG_FORMAT = str(Path(sys.executable).parent / "clang-format")
SHAPE = (2, 7, 9)
IMAGE, WEIGHT, SUM = sp.FixedPoint(6, 2), sp.FixedPoint(5, 1), sp.FixedPoint(7, 3)
UNSIGNED = sp.FixedPoint(5, 1, signed=False)


def conv(channels, out_channels, kernel_size=3):
    return sp.SparseConv2d(channels, out_channels, kernel_size, weight_format=WEIGHT)


class Base(nn.Module):
    """What all have at the beginning."""

    def __init__(self):
        super().__init__()
        self.image = sp.QuantIdentity(IMAGE)
        self.reduce = sp.SparseInputReduce(6, activity="any")
        self.flatten = sp.SparseFlatten()

    def pixels(self, image):
        return self.reduce(self.image(image))


class LongSkip(Base):
    """The list of pixels skips two convolutions, and the first of them skips the second."""

    def __init__(self):
        super().__init__()
        self.conv1, self.act1 = conv(2, 2), sp.SparseReLU(UNSIGNED)
        self.conv2, self.act2 = conv(2, 2, (1, 5)), sp.SparseReLU(UNSIGNED)
        self.act = sp.SparseIdentity(SUM)
        self.last = sp.QuantLinear(126, 2, weight_format=WEIGHT)

    def forward(self, image):
        x = self.pixels(image)
        y = self.act1(self.conv1(x))
        z = self.act2(self.conv2(y))
        return self.last(self.flatten(self.act(sp.add(z, y) + x)))


class Crossed(Base):
    """Both convolutions come before both activations, and one of these reads sums that something else reads too."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = conv(2, 2), conv(2, 2, (3, 5)), conv(2, 1)
        self.act1, self.act2 = sp.SparseReLU(UNSIGNED), sp.SparseIdentity(SUM)
        self.other = sp.SparseReLU(sp.FixedPoint(3, 2, signed=False))
        self.pool = sp.SparseMaxPool2d((2, 3))

    def forward(self, image):
        x = self.pixels(image)
        a, b = self.conv1(x), self.conv2(x)
        p, q = self.act1(a), self.act2(b)
        return self.flatten(self.pool(sp.concat([p + q, a, self.conv3(self.other(b))])))


class BehindPool(Base):
    """A sum and three branches side by side after a pool, and two global pools."""

    def __init__(self):
        super().__init__()
        self.pool = sp.SparseAvgPool2d((2, 2), reciprocal_bits=6, format=SUM)
        self.conv1, self.act1 = conv(2, 2), sp.SparseReLU(UNSIGNED)
        self.conv2, self.act2 = conv(2, 1), sp.SparseIdentity(SUM)
        self.average = sp.SparseGlobalAvgPool2d(7, sp.FixedPoint(8, 2))
        self.maximum = sp.SparseGlobalMaxPool2d()
        self.last = sp.QuantLinear(14, 3, weight_format=WEIGHT)

    def forward(self, image):
        x = self.pool(self.pixels(image))
        y = self.act1(self.conv1(x)) + x
        y = sp.concat([y, self.act2(self.conv2(x)), x])
        y = sp.concat([y, x])
        return self.last(torch.cat([self.average(y), self.maximum(y)], dim=1))


class TwoHeads(Base):
    """A class and an energy, of other widths, called as layers are; the energy is ready long before the class."""

    def __init__(self):
        super().__init__()
        self.conv1, self.act1 = conv(2, 2), sp.SparseReLU(UNSIGNED)
        self.conv2, self.act2 = conv(2, 3), sp.SparseReLU(UNSIGNED)
        self.average = sp.SparseGlobalAvgPool2d(5, SUM)
        self.energy = sp.QuantLinear(2, 1, weight_format=sp.FixedPoint(3, 2))
        self.hidden, self.act3 = sp.QuantLinear(189, 4, weight_format=WEIGHT), sp.QuantReLU(SUM)
        self.category = sp.QuantLinear(4, 3, weight_format=WEIGHT)

    def forward(self, image):
        x = self.act1(self.conv1(self.pixels(image)))
        energy = self.energy(self.average(x))
        hidden = self.act3(self.hidden(self.flatten(self.act2(self.conv2(x)))))
        return {"category": self.category(hidden), "energy": energy}


class Outputs(NamedTuple):
    listed: Tensor
    again: Tensor
    hidden: Tensor
    total: Tensor


class ReadOutputs(Base):
    """Values that layers read are returned too, one of them twice, and features of pixels."""

    def __init__(self):
        super().__init__()
        self.conv1, self.act1 = conv(2, 2), sp.SparseReLU(UNSIGNED)
        self.dense, self.act = sp.QuantLinear(126, 2, weight_format=WEIGHT), sp.QuantReLU(SUM)

    def forward(self, image):
        x = self.act1(self.conv1(self.pixels(image)))
        hidden = self.dense(self.flatten(x))
        total = hidden + self.act(hidden)
        return Outputs(x.features, x.features, hidden, total)


MODELS = (LongSkip, Crossed, BehindPool, TwoHeads, ReadOutputs)
DESIGNS = [
    {},
    {"conv": "pairs", "reuse_factor": 2, "flatten": "scatter"},
    {"reduce": "stream", "io": "stream", "pixels_per_cycle": 4, "reuse_factor": 100, "conv": "gather"},
    {"reduce": "tree", "conv": "gather", "reuse_factor": 4, "dense": "adders"},
    {"reduce": "scan", "io": "stream", "conv": "overlap", "reuse_factor": 3},
]


def named(results):
    return results if isinstance(results, dict) else {"output": results}


def assert_same(found, expected):
    assert list(named(found)) == list(named(expected))
    for name, values in named(found).items():
        np.testing.assert_array_equal(values, named(expected)[name], err_msg=name)


@pytest.fixture(scope="module", params=MODELS, ids=lambda kind: kind.__name__)
def exported(request, tmp_path_factory):
    """A model's file, images, and the results of the integer reference, which torch and ONNX Runtime also give."""
    torch.manual_seed(3)
    model = request.param()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 3
    path = tmp_path_factory.mktemp("branches") / "net.onnx"
    images = hard_images(np.random.default_rng(4), SHAPE, count=40)
    written = sp.export_onnx(model, path, SHAPE)
    onnx.checker.check_model(path, full_check=True)
    exact = reference.run(written, images)
    exact = {k: v.real for k, v in exact.items()} if isinstance(exact, dict) else exact.real
    session = ort.InferenceSession(path)
    outputs = [output.name for output in session.get_outputs()]
    assert_same(dict(zip(outputs, session.run(None, {"image": images}), strict=True)), named(exact))
    with torch.no_grad():
        found = model.double().eval()(torch.from_numpy(images).double())
    found = found._asdict() if isinstance(found, tuple) else named(found)
    assert_same({name: value.numpy() for name, value in found.items()}, named(exact))
    for name, values in named(exact).items():
        assert len(np.unique(values)) > 3, f"{name} tests nothing"
    return path, images, exact


@pytest.mark.gxx
@pytest.mark.parametrize("options", DESIGNS, ids=lambda options: "-".join(map(str, options.values())) or "default")
def test_firmware(exported, options, tmp_path):
    path, images, expected = exported
    options = nearest(read_model(path).graph, Options(**options))
    project = sparsepix_hls.translate(path, tmp_path / "firmware", options=options)
    # The build with ap_fixed takes its time; what numbers mean is the same in all designs.
    for backend in ("native", "ap_fixed") if options.io == "stream" else ("native",):
        project.compile(backend)
        assert_same(project.predict(images), expected)
    files = {
        file.relative_to(project.directory).as_posix(): file.read_text()
        for folder in ("firmware", "tb")
        for file in (project.directory / folder).rglob("*")
        if file.suffix in (".h", ".cpp")
    }
    assert check(files, "net").problems == []
    command = [CLANG_FORMAT, f"--style=file:{ROOT / '.clang-format'}", "--dry-run", "-Werror"]
    # Tables of weights are aligned in columns, or not, by rules of their own.
    copied = ("firmware/sparsepix/", "firmware/weights/")
    written = [str(project.directory / name) for name in files if not name.startswith(copied)]
    done = subprocess.run([*command, *written], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]


@pytest.mark.gxx
def test_testbench(exported, tmp_path):
    """It passes, and finds a wrong number in the last output of an event."""
    path, images, expected = exported
    project = sparsepix_hls.translate(path, tmp_path / "firmware", testbench_inputs=images)
    assert project.csim() == CsimResult(events=len(images), mismatches=0)
    report = read_report(project.directory)
    shapes = {name: list(values.shape[1:]) for name, values in named(expected).items()}
    assert {tensor["name"]: tensor["shape"] for tensor in report["outputs"]} == shapes
    data = project.directory / "tb/data/outputs.dat"
    *lines, last = data.read_text().splitlines()
    numbers = last.split()
    data.write_text("\n".join([*lines, " ".join([*numbers[:-1], str(int(numbers[-1]) + 1)])]) + "\n")
    assert project.csim().mismatches == 1
    data.write_text("\n".join([*lines, " ".join(numbers[:-1])]) + "\n")
    with pytest.raises(sp.SparsePixError, match=f"needs {len(numbers)} integers"):
        project.csim()


@pytest.mark.verilator
@pytest.mark.parametrize("options", [DESIGNS[1], {**DESIGNS[2], "reuse_factor": 3}], ids=["scan", "stream"])
def test_rtl(exported, options, tmp_path):
    path, images, expected = exported
    project = sparsepix_hls.translate(path, tmp_path / "rtl", options=Options(**options), backend="rtl")
    project.compile()
    assert_same(project.predict(images), expected)
    assert project.simulate().mismatches == 0
    assert not any(project.measure(images).mismatches.values())


class WithHeads(Base):
    """Logits and their probabilities: the same value twice, once the heads are left out."""

    def __init__(self):
        super().__init__()
        self.dense = sp.QuantLinear(126, 3, weight_format=WEIGHT)

    def forward(self, image):
        logits = self.dense(self.flatten(self.pixels(image)))
        return logits, logits.softmax(dim=1), logits.sigmoid()


@pytest.mark.gxx
@pytest.mark.parametrize("keep_head", [False, True])
def test_heads(keep_head, tmp_path):
    path, images = tmp_path / "net.onnx", hard_images(np.random.default_rng(5), SHAPE)
    written = sp.export_onnx(WithHeads(), path, SHAPE)
    read = read_model(path, keep_head)
    assert read.graph.dropped_head == (None if keep_head else "Softmax, Sigmoid")
    assert [tensor.name for tensor in read.graph.outputs] == ["output_0", "output_1", "output_2"]
    expected = {name: value.real for name, value in reference.run(written, images, keep_head).items()}
    project = sparsepix_hls.translate(path, tmp_path / "firmware", keep_head=keep_head)
    project.compile()
    found = project.predict(images)
    assert_same(found, expected)
    if not keep_head:
        assert_array_equal(found["output_1"], found["output_0"])


def test_the_list_is_shared_or_refused(tmp_path):
    """A sum of pixels of two reductions has no meaning, whatever they hold."""

    class TwoLists(Base):
        def __init__(self):
            super().__init__()
            self.second = sp.SparseInputReduce(6, activity="any")

        def forward(self, image):
            x = self.image(image)
            return self.flatten(self.reduce(x) + self.second(x))

    with pytest.raises(sp.SparsePixError, match="add: expected operands on the same list of pixels"):
        sp.export_onnx(TwoLists(), tmp_path / "net.onnx", SHAPE)
    assert list(tmp_path.iterdir()) == []
