"""What ``predict`` and ``predict_raw`` take, in firmware and in training, and from how many threads at once."""

import multiprocessing
import os
import re
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

import sparsepix as sp
import sparsepix_hls as hls
from firmware_graphs import Builder, accumulator, design_of, oracle, sparse_images
from onnx_models import ModelBuilder, whole_model
from predict_threads import Wrong, wrong_events
from rtl_tools import needs_verilator
from sparsepix import training
from sparsepix_hls import toolchain
from sparsepix_hls.choices import make_design
from sparsepix_hls.design import Options
from sparsepix_hls.inputs import checked_threads
from sparsepix_hls.project import Project
from sparsepix_hls.reader import read_model
from sparsepix_hls.writer import write_project
from sparsepix_ops import SparsePixError, integer
from sparsepix_ops.fixed_point import FixedPoint

U8, S8 = FixedPoint(8, 2, signed=False), FixedPoint(8, 3)
SHAPE = (1, 48, 48)


def some_images(count, shape=SHAPE, seed=0):
    """Multiples of 1/64 below 4, exact in every kind of float; 1 % of the pixels."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, *shape)) / 64 * (rng.random((count, 1, *shape[1:])) < 0.01)


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


def small_rtl(folder, seed=0):
    builder = ModelBuilder(1, 5, 4, seed=seed).image().reduce(3).conv().relu().activation()
    model = builder.flatten().dense("dense1", 2).save(folder / "net.onnx")
    return hls.translate(model, folder / "rtl", backend="rtl", options=Options(reduce="scan"))


@pytest.fixture(scope="module")
def rtl(tmp_path_factory):
    """Compiled where there is Verilator; what is refused is refused without it."""
    project = small_rtl(tmp_path_factory.mktemp("rtl"))
    if not needs_verilator.args[0]:
        project.compile()
    return project


class Foreign:
    """An array of another library."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        if self.array is None:
            raise NotImplementedError("the numbers stand on another device")
        return self.array


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


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
    images = some_images(5)
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
    images = np.floor(some_images(4) / 2).astype(dtype)
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
    "another device": (Foreign(None), "expected an array, found a Foreign: the numbers stand on another device"),
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
    if x is not None:  # which stands for synthetic ones
        shape = r"one or more images of shape \(events, 1, 48, 48\), found"
        with pytest.raises(SparsePixError, match=rf"^testbench data: .*({message}|{shape})"):
            hls.translate(projects["native"].directory.parent / "net.onnx", tmp_path / "out", testbench_inputs=x)
        assert not (tmp_path / "out").exists()


def test_testbench_images(trained, tmp_path):
    """Of any kind; one or more."""
    model = trained[1]["native"].directory.parent / "net.onnx"
    images = some_images(3)
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


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The model of ``rtl`` as firmware."""
    folder = tmp_path_factory.mktemp("small")
    project = hls.translate(small_rtl(folder).directory.parent / "net.onnx", folder / "hls")
    project.compile()
    return project


@pytest.mark.parametrize("case", RAW_BAD)
def test_raw_integers_are_checked(small, rtl, case):
    raw, message = RAW_BAD[case]
    for project in (small, rtl):
        with pytest.raises(SparsePixError, match=rf"^image: .*{message}"):
            project.predict_raw(raw)


@needs_verilator
def test_raw_integers_of_any_kind(small, rtl):
    raw = U8.quantize(some_images(6, (1, 5, 4))).raw
    raw[0, 0, 2, 2] = 255
    expected = small.predict_raw(raw)
    assert_array_equal(rtl.predict_raw(raw), expected)
    for x in (raw.astype(np.uint8), raw.astype(">i4"), raw[::-1].copy()[::-1], read_only(np.asfortranarray(raw))):
        assert_array_equal(small.predict_raw(x), expected)
        assert_array_equal(rtl.predict_raw(x), expected)
    for x in (raw.tolist(), torch.from_numpy(raw)):
        assert_array_equal(small.predict_raw(x), expected)


@needs_verilator
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
    x = some_images(5)
    for images in (x, x[:0]):
        found = training.predict(Several(), images, batch_size=2)
        assert_array_equal(found["sum"], images.sum((1, 2, 3)).astype(np.float32), strict=True)
        assert_array_equal(found["both"][0], images[:, 0, 0].astype(np.float32), strict=True)
        assert_array_equal(found["both"][1][0], images, strict=True)
    with pytest.raises(SparsePixError, match="returns tensors, found a str"):
        training.predict(Odd(), x)
    with pytest.raises(SparsePixError, match="batch_size must be an int >= 1, found 0"):
        training.predict(Several(), x, batch_size=0)


@pytest.mark.parametrize("threads", [0, -1, 2.5, True, "2", np.bool_(True), float("nan")])
def test_number_of_threads(small, rtl, threads):
    zeros = np.zeros((1, 1, 5, 4), int)
    for action in (small.predict, small.predict_raw, rtl.predict, rtl.predict_raw):
        with pytest.raises(SparsePixError, match=r"threads: expected a whole number of at least 1, or None for all"):
            action(zeros, threads=threads)


def test_all_cores_and_more(small):
    assert 1 <= checked_threads(None) <= os.cpu_count()
    images = some_images(50, (1, 5, 4))
    expected = small.predict(images)
    for threads in (None, 2, np.int64(3), 49, 10**12):
        assert_array_equal(small.predict(images, threads=threads), expected)


@pytest.mark.parametrize("io", ["parallel", "stream"])
@pytest.mark.parametrize(("backend", "events"), [("native", 2000), ("ap_fixed", 100)])
def test_four_threads(tmp_path, io, backend, events):
    """``tests/predict_threads.py`` runs more events of a larger model."""
    path = whole_model(height=24, width=24).save(tmp_path / "net.onnx")
    project = hls.translate(path, tmp_path / "net", options=Options(io=io))
    project.compile(backend)
    rng = np.random.default_rng(1)
    images = rng.random((4 * events, 1, 24, 24)) * 4 * (rng.random((4 * events, 1, 24, 24)) < 0.02)
    expected = integer.run(read_model(path).model, images).real
    assert len(np.unique(expected)) > 50
    assert wrong_events(project, images, expected, threads=4) == Wrong(side_by_side=0, shared=0)


@pytest.mark.parametrize("io", ["parallel", "stream"])
def test_library_keeps_no_state(tmp_path, io):
    """Threads meet in no variable: nothing in the library can be written but the constants, once, when it is loaded."""
    path = whole_model().save(tmp_path / "net.onnx")
    project = hls.translate(path, tmp_path / "net", options=Options(io=io))
    library = tmp_path / "net.so"
    toolchain.build_library(project.directory, ["tb/net_bridge.cpp"], library, ("-O1", *toolchain.NATIVE_FLAGS))
    symbols = subprocess.run(["nm", "-C", str(library)], capture_output=True, text=True, check=True).stdout
    writable = set(re.findall(r"^\w+ [bBuVdD] ((?!_|DW|completed).*)", symbols, re.MULTILINE))
    constants = {f"{path.stem}_converted" for path in (project.directory / "firmware/weights").iterdir()}
    assert writable == constants | {"pool1_reciprocal", "reduce_threshold"}
    assert len(constants) == 8
    assert re.findall(r" T (\w+)", symbols) == ["net_run", "net_run_double", "net_run_float"]


def test_a_bad_event_in_one_of_the_threads(small):
    images = some_images(400, (1, 5, 4))
    images[333, 0, 4, 3] = np.inf
    with pytest.raises(SparsePixError, match="expected finite values"):
        small.predict(images, threads=4)


def weighted(folder, seed):
    """Firmware whose names do not depend on the seed, but whose weights and sizes do."""
    builder = Builder("twin", (1, 7, 7), U8, seed).reduce(4 + seed).conv(2, (3, 3), S8, accumulator(22, -11), S8)
    graph = builder.act(U8).flatten().dense(3, S8, accumulator(26, -11), S8).graph()
    images = sparse_images(np.random.default_rng(3), 300, (1, 7, 7), U8)
    folder.mkdir()
    write_project(design_of(graph), folder, "xcvu9p-flga2104-2L-e", 5.0, images, oracle(graph, images))
    return Project(folder, graph), images, oracle(graph, images)


def test_two_models_of_one_name_at_once(tmp_path):
    """Compiled side by side, by two threads, and run side by side; and one compiled again while it runs."""
    first, second = weighted(tmp_path / "a", 0), weighted(tmp_path / "b", 1)
    assert (first[2] != second[2]).any()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda project: project.compile(), [first[0], second[0], first[0], second[0]]))
        stop = threading.Event()

        def right(case):
            project, images, expected = case
            runs = 0
            while not stop.is_set() or runs == 0:
                assert_array_equal(project.predict_raw(images), expected)
                runs += 1
            return runs

        runs = [pool.submit(right, case) for case in (first, second, first)]
        first[0].compile()
        stop.set()
        assert all(run.result() > 0 for run in runs)


def test_processes_of_a_loaded_project(small):
    images = some_images(300, (1, 5, 4))
    expected = small.predict(images)
    with multiprocessing.get_context("fork").Pool(2, initializer=use, initargs=(small,)) as pool:
        for found in pool.map(predicted, [images] * 4):
            assert_array_equal(found, expected)


def use(project):
    global _used
    _used = project


def predicted(images):
    return _used.predict(images, threads=2)


@pytest.mark.parametrize("options", [Options(reduce="tree"), Options(reduce="scan", io="stream")])
def test_large_images_on_a_small_stack(tmp_path, options):
    """A megabyte and more of arrays in a kernel, called from a thread with a quarter of that."""
    builder = Builder("large", (1, 512, 512), U8).reduce(4)
    graph = builder.global_pool(FixedPoint(8, 2, False, "FLOOR", "WRAP"), over="active").graph()
    images = np.zeros((3, 1, 512, 512), np.int64)
    images[1, 0, 17, 500], images[2, 0, 511, 511] = 255, 3
    expected = oracle(graph, images)
    write_project(make_design(graph, options)[0], tmp_path, "xcvu9p-flga2104-2L-e", 5.0, images, expected)
    project = Project(tmp_path, graph)
    project.compile()
    found = []
    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=lambda: found.extend(project.predict_raw(images, threads=n) for n in (1, 2)))
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    for result in found:
        assert_array_equal(result, expected)
    assert len(found) == 2


def test_folder_that_is_gone(small, tmp_path):
    shutil.copytree(small.directory, tmp_path / "here")
    project = Project(tmp_path / "here", small.graph)
    with pytest.raises(SparsePixError, match=r"here: the firmware is not compiled yet: call compile\(\)"):
        project.predict_raw(np.zeros((1, 1, 5, 4), int))
    project.compile()
    images = some_images(9, (1, 5, 4))
    (tmp_path / "here").rename(tmp_path / "there")
    assert_array_equal(project.predict(images), small.predict(images))  # the library is loaded
    for action in (project.compile, project.csim):
        with pytest.raises(SparsePixError, match=r"here: expected a firmware project, found no .* if it was moved"):
            action()
    assert not (tmp_path / "here").exists()
    (tmp_path / "there/build").rmdir()
    (tmp_path / "there/build").write_text("")
    with pytest.raises(SparsePixError, match="build: cannot build there: File exists"):
        Project(tmp_path / "there", small.graph).compile()


def test_library_of_another_machine(small, tmp_path, monkeypatch):
    """A compiler that makes what this machine cannot load; what was compiled before stays."""
    compiler = tmp_path / "cross-g++"
    compiler.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\necho other > "$2"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    images = some_images(9, (1, 5, 4))
    expected = small.predict(images)
    with pytest.raises(
        SparsePixError, match="the compiled firmware cannot be loaded, is the compiler one for this mach"
    ):
        small.compile()
    assert_array_equal(small.predict(images), expected)
    assert not list((small.directory / "build").iterdir())


@needs_verilator
def test_rtl_from_threads_and_processes(rtl, tmp_path):
    """Simulations side by side: calls from threads, one call that is shared, and other processes in the same folder."""
    images = some_images(700, (1, 5, 4), seed=5)
    images[:, 0, 0, 0] = np.arange(700) % 256 / 64
    expected = integer.run(read_model(rtl.directory.parent / "net.onnx").model, images).real
    assert len(np.unique(expected)) > 20
    for threads in (1, 2, 3, 1000):
        assert_array_equal(rtl.predict(images[:100], threads=threads), expected[:100])
    assert wrong_events(rtl, images, expected, threads=4) == Wrong(0, 0)
    with multiprocessing.get_context("fork").Pool(2, initializer=use, initargs=(rtl,)) as pool:
        for found in pool.map(predicted, [images] * 3):
            assert_array_equal(found, expected)
    with pytest.raises(SparsePixError, match=r"expected --stalls, --apart, --reset or --seed S, found --fast"):
        rtl.predict_raw(np.zeros((1, 1, 5, 4), int), ("--fast",))
    raw = U8.quantize(images[:9]).raw
    assert_array_equal(rtl.predict_raw(raw, "--stalls"), rtl.predict_raw(raw, ["--seed", 5], threads=2))


@needs_verilator
def test_rtl_folder_that_is_gone(rtl, tmp_path, monkeypatch):
    shutil.copytree(rtl.directory, tmp_path / "here")
    project = hls.RtlProject(tmp_path / "here", rtl.graph, rtl.part, rtl.modules)
    project.compile()
    images = some_images(3, (1, 5, 4))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "full"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "full"))
    with pytest.raises(SparsePixError, match=r"here: simulation: no room for its files: .*full"):
        project.predict(images)
    monkeypatch.undo()
    simulation = tmp_path / "here/build/sim"
    simulation.write_bytes(b"\x7fELF of another machine")
    with pytest.raises(SparsePixError, match=r"build/sim does not start: Exec format error; .* run 'make clean'"):
        project.predict(images, threads=2)
    simulation.write_text("#!/bin/sh\nkill -4 $$\n")
    with pytest.raises(SparsePixError, match=r"ended by signal 4; if another machine built it, run 'make clean'"):
        project.simulate()
    simulation.write_text("#!/bin/sh\n: >$2; : >$3\n")
    with pytest.raises(SparsePixError, match="expected results of 3 events, found another number"):
        project.predict(images)
    (tmp_path / "here").rename(tmp_path / "there")
    for action in (lambda: project.predict(images), project.simulate, project.measure):
        with pytest.raises(SparsePixError, match="here"):
            action()
    with pytest.raises(SparsePixError, match="here: expected a firmware project, found no Makefile in it"):
        project.compile()
