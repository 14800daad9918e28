"""What ``predict`` and ``predict_raw`` take, in firmware and in training, and from how many threads at once."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

import sparsepix as sp
import sparsepix_hls as hls
from firmware_graphs import Builder, accumulator, design_of, sparse_images
from predict_projects import read_only, some_images
from sparsepix import training
from sparsepix_hls.cpp.project import Project
from sparsepix_hls.cpp.writer import write_project
from sparsepix_ops import SparsePixError
from sparsepix_ops.fixed_point import FixedPoint

pytestmark = pytest.mark.gxx

U8, S8 = FixedPoint(8, 2, signed=False), FixedPoint(8, 3)
SHAPE = (1, 48, 48)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model of torch, and its firmware in both builds."""
    folder = tmp_path_factory.mktemp("trained")
    torch.manual_seed(0)
    model = sp.models.mnist(8, 8).eval()
    sp.export_onnx(model, folder / "net.onnx", SHAPE)
    projects = {}
    for backend in ("native", "ap_fixed"):
        projects[backend] = hls.translate(folder / "net.onnx", folder / backend)
        projects[backend].compile(backend)
    return model, projects


class Foreign:
    """An array of another library."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        if self.array is None:
            raise NotImplementedError("the numbers are on another device")
        return self.array


def on_disk(x, folder):
    np.save(folder / "x.npy", x)
    return np.load(folder / "x.npy", mmap_mode="r")


# Each takes the images and a folder.
KINDS = {
    "float16": lambda x, _: x.astype(np.float16),
    "float32": lambda x, _: x.astype(np.float32),
    "longdouble": lambda x, _: x.astype(np.longdouble),
    "other byte order": lambda x, _: x.astype(np.dtype(np.float32).newbyteorder()),
    "other byte order, float64": lambda x, _: x.astype(np.dtype(np.float64).newbyteorder()),
    "Fortran order": lambda x, _: np.asfortranarray(x.astype(np.float32)),
    "negative strides": lambda x, _: x[::-1, :, ::-1, ::-1].copy()[::-1, :, ::-1, ::-1],
    "every other": lambda x, _: np.repeat(np.repeat(x, 2, axis=0), 2, axis=3).astype(np.float32)[::2, ..., ::2],
    "channels last": lambda x, _: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "read-only": lambda x, _: read_only(x.astype(np.float32)),
    "memory-mapped": lambda x, folder: on_disk(x.astype(np.float32), folder),
    "lists": lambda x, _: x.tolist(),
    "list of arrays": lambda x, _: list(x),
    "tuple of tensors": lambda x, _: tuple(torch.from_numpy(image).requires_grad_() for image in x),
    "nothing masked": lambda x, _: np.ma.MaskedArray(x, False),
    "__array__": lambda x, _: Foreign(x),
    "tensor": lambda x, _: torch.from_numpy(x).float(),
    "tensor with a gradient": lambda x, _: torch.from_numpy(x).requires_grad_() * 1.0,
    "tensor, bfloat16": lambda x, _: torch.from_numpy(x).bfloat16(),
    "tensor, turned": lambda x, _: torch.from_numpy(x).transpose(2, 3).contiguous().transpose(2, 3),
    "parameter": lambda x, _: torch.nn.Parameter(torch.from_numpy(x)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_firmware_and_training_take_the_same(trained, tmp_path, kind):
    """Values that each kind holds exactly, and the same results everywhere."""
    model, projects = trained
    images = some_images(5, SHAPE)
    if "bfloat16" in kind:
        images = np.round(images * 4) / 4
    expected = projects["native"].predict(images)
    assert len(np.unique(expected)) > 10
    x = KINDS[kind](images, tmp_path)
    for project in projects.values():
        assert_array_equal(project.predict(x), expected)
    assert_array_equal(training.predict(model, x, batch_size=2), expected)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_whole_numbers(trained, dtype):
    model, projects = trained
    images = np.floor(some_images(4, SHAPE) / 2).astype(dtype)
    expected = projects["native"].predict(images.astype(np.float64))
    assert images.any()
    for x in (images, images.astype(images.dtype.newbyteorder())):
        for project in projects.values():
            assert_array_equal(project.predict(x), expected)
        assert_array_equal(training.predict(model, x), expected)


BAD = {
    "one image": (np.zeros(SHAPE), r"images of shape \[B\].*found \(1, 48, 48\); for a single image pass x\[None\]"),
    "no axes": (3.0, r"images of shape \[B\].*found \(\)"),
    "too many axes": (np.zeros((2, 1, 1, 48, 48)), r"found \(2, 1, 1, 48, 48\)"),
    "NaN": (np.full((2, *SHAPE), np.nan), "expected finite values, found NaN or infinity"),
    "infinity, tensor": (torch.full((2, *SHAPE), -torch.inf), "expected finite values"),
    "None": (None, "found dtype object"),
    "strings": (np.full((1, *SHAPE), "1"), "found dtype <U1"),
    "bools": (np.zeros((1, *SHAPE), bool), r"found dtype bool; convert with x\.astype\(numpy\.float32\)"),
    "complex": (torch.zeros(1, *SHAPE, dtype=torch.complex64), "found dtype complex64"),
    "dates": (np.zeros((1, *SHAPE), "M8[s]"), "found dtype datetime64"),
    "ragged": ([[[[1.0], [1.0, 2.0]]]], "expected an array, found a list"),
    "masked": (np.ma.masked_equal(np.zeros((1, *SHAPE)), 0), r"found 2304 masked values.*filled\(0\)"),
    "list of masked": ([np.ma.masked_equal(np.zeros(SHAPE), 0)], "found 2304 masked values"),
    "meta tensor": (torch.zeros(1, *SHAPE, device="meta"), "expected an array, found a Tensor"),
    "sparse tensor": (torch.zeros(1, *SHAPE).to_sparse(), "expected an array, found a Tensor"),
    "another device": (Foreign(None), "expected an array, found a Foreign: the numbers are on another device"),
    "too large integers": (np.full((1, *SHAPE), 2**53 + 1), r"integers up to 2\*\*53.*found 9007199254740993"),
}


@pytest.mark.parametrize("case", BAD)
def test_firmware_and_training_refuse_the_same(trained, rtl, case, tmp_path):
    model, projects = trained
    x, message = BAD[case]
    name = projects["native"].graph.input.name
    for project in projects.values():
        with pytest.raises(SparsePixError, match=rf"^{name}: .*{message}"):
            project.predict(x)
    with pytest.raises(SparsePixError, match=rf"^images: .*{message}"):
        training.predict(model, x)
    with pytest.raises(SparsePixError, match=r"^image: "):
        rtl.predict(x)
    if x is not None:  # which means synthetic ones
        shape = r"one or more images of shape \(events, 1, 48, 48\), found"
        with pytest.raises(SparsePixError, match=rf"^testbench data: .*({message}|{shape})"):
            hls.translate(projects["native"].directory.parent / "net.onnx", tmp_path / "out", testbench_inputs=x)
        assert not (tmp_path / "out").exists()


def test_testbench_images(trained, tmp_path):
    """Of any kind; one or more."""
    model = trained[1]["native"].directory.parent / "net.onnx"
    images = some_images(3, SHAPE)
    for number, x in enumerate((images, torch.from_numpy(images).requires_grad_(), images.tolist())):
        project = hls.translate(model, tmp_path / str(number), testbench_inputs=x)
        lines = (project.directory / "tb/data/inputs.dat").read_text().splitlines()
        raw = np.array([line.split() for line in lines if not line.startswith("#")], int).reshape(images.shape)
        assert_array_equal(raw, project.graph.input.type.quantize(images).raw)
        assert raw.any()
    with pytest.raises(SparsePixError, match=r"\(events, 1, 48, 48\), found \(0, 1, 48, 48\)"):
        hls.translate(model, tmp_path / "none", testbench_inputs=images[:0])


def test_shape_of_the_model(trained):
    _, projects = trained
    for action in (projects["native"].predict, projects["ap_fixed"].predict, projects["native"].predict_raw):
        with pytest.raises(SparsePixError, match=r"\[B\]\[1\]\[48\]\[48\], found \(3, 1, 48, 47\)"):
            action(np.zeros((3, 1, 48, 47), np.int64))


RAW_BAD = {
    "floats": (np.zeros((1, 1, 5, 4)), r"raw integers .*found dtype float64; predict\(\) takes real numbers"),
    "tensor of floats": (torch.zeros(1, 1, 5, 4), "found dtype float32"),
    "bools": (np.zeros((1, 1, 5, 4), bool), "found dtype bool"),
    "objects": (np.zeros((1, 1, 5, 4), object), "found dtype object"),
    "flat": (np.zeros(20, np.int64), r"\[B\]\[1\]\[5\]\[4\], found \(20,\)"),
    "one image": (np.zeros((1, 5, 4), np.int64), r"pass x\[None\]"),
    "other image": (np.zeros((2, 1, 4, 5), np.int64), r"found \(2, 1, 4, 5\)"),
    "below": (
        np.array([-1, 0] * 10).reshape(1, 1, 5, 4),
        r"0 \.\.\. 255 of ap_ufixed<8, 2.*found 10 of 20 .* -1 \.\.\. 0",
    ),
    "above": (np.array([256, *range(19)]).reshape(1, 1, 5, 4), r"found 1 of 20 values outside, 0 \.\.\. 256"),
    "far above": (np.full((1, 1, 5, 4), 2**64 - 1, np.uint64), "found 20 of 20 values outside"),
    "small kind": (np.full((1, 1, 5, 4), -3, np.int8), r"found 20 of 20 values outside, -3 \.\.\. -3"),
    "masked": (np.ma.masked_equal(np.zeros((1, 1, 5, 4), int), 0), "found 20 masked values"),
}


@pytest.mark.parametrize("case", RAW_BAD)
def test_raw_integers_are_checked(small, rtl, case):
    raw, message = RAW_BAD[case]
    for project in (small, rtl):
        with pytest.raises(SparsePixError, match=rf"^image: .*{message}"):
            project.predict_raw(raw)


@pytest.mark.verilator
def test_raw_integers_of_any_kind(small, rtl):
    raw = U8.quantize(some_images(6)).raw
    raw[0, 0, 2, 2] = 255
    expected = small.predict_raw(raw)
    assert_array_equal(rtl.predict_raw(raw), expected)
    for x in (raw.astype(np.uint8), raw.astype(">i4"), raw[::-1].copy()[::-1], read_only(np.asfortranarray(raw))):
        assert_array_equal(small.predict_raw(x), expected)
        assert_array_equal(rtl.predict_raw(x), expected)
    for x in (raw.tolist(), torch.from_numpy(raw)):
        assert_array_equal(small.predict_raw(x), expected)


@pytest.mark.verilator
def test_no_event(trained, small, rtl, tmp_path):
    """A batch of 0 gives arrays of the usual shapes, whatever the build."""
    model, projects = trained
    for project in projects.values():
        for threads in (1, 3):
            assert_array_equal(project.predict(np.zeros((0, *SHAPE)), threads=threads), np.zeros((0, 10)), strict=True)
    assert training.predict(model, np.zeros((0, *SHAPE))).shape == (0, 10)
    for project in (small, rtl):
        raw = project.predict_raw(np.zeros((0, 1, 5, 4), int), threads=2)
        assert_array_equal(raw, np.zeros((0, 2), np.int64), strict=True)
        assert_array_equal(project.predict(np.zeros((0, 1, 5, 4))), np.zeros((0, 2)), strict=True)
    builder = Builder("two", (1, 4, 4), U8).reduce(2).flatten()
    flat, first = builder.x, builder.dense(2, S8, accumulator(24, -11)).x
    builder.x = flat
    graph = builder.dense(3, S8, accumulator(24, -11)).graph(first, builder.x)
    (tmp_path / "two").mkdir()
    images = sparse_images(np.random.default_rng(0), 2, (1, 4, 4), U8)
    results = dict(zip(graph.results, (np.zeros((2, *t.shape), int) for t in graph.outputs), strict=True))
    write_project(design_of(graph), tmp_path / "two", "xcvu9p-flga2104-2L-e", 5.0, images, results)
    project = Project(tmp_path / "two", graph)
    project.compile()
    found = project.predict(np.zeros((0, 1, 4, 4)))
    assert {name: values.shape for name, values in found.items()} == dict(
        zip(graph.results, ((0, *t.shape) for t in graph.outputs), strict=True)
    )


class Several(torch.nn.Module):
    def forward(self, x):
        return {"sum": x.sum((1, 2, 3)), "both": (x[:, 0, 0], [x.double()])}


class Odd(torch.nn.Module):
    def forward(self, x):
        return "nothing"


def test_training_predict_gives_what_the_model_returns():
    """A model without parameters, with outputs in dicts and tuples, in batches whose last one is smaller."""
    x = some_images(5, SHAPE)
    for images in (x, x[:0]):
        found = training.predict(Several(), images, batch_size=2)
        assert_array_equal(found["sum"], images.sum((1, 2, 3)).astype(np.float32), strict=True)
        assert_array_equal(found["both"][0], images[:, 0, 0].astype(np.float32), strict=True)
        assert_array_equal(found["both"][1][0], images, strict=True)
    with pytest.raises(SparsePixError, match="returns tensors, found a str"):
        training.predict(Odd(), x)
    with pytest.raises(SparsePixError, match="batch_size must be an int >= 1, found 0"):
        training.predict(Several(), x, batch_size=0)
