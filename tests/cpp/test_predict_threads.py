"""``predict`` from many threads and processes at once, on small stacks, and in folders that are gone."""

import multiprocessing
import os
import re
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import sparsepix_hls as hls
from firmware_graphs import Builder, accumulator, design_of, oracle, sparse_images
from onnx_models import whole_model
from predict_projects import some_images
from predict_threads import Wrong, wrong_events
from sparsepix_hls.cpp.project import Project
from sparsepix_hls.cpp.writer import write_project
from sparsepix_hls.design.options import Options
from sparsepix_hls.design.select import make_design
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.project import toolchain
from sparsepix_hls.project.inputs import checked_threads
from sparsepix_ops import SparsePixError, reference
from sparsepix_ops.fixed_point import FixedPoint

pytestmark = pytest.mark.gxx

U8, S8 = FixedPoint(8, 2, signed=False), FixedPoint(8, 3)


@pytest.mark.parametrize("threads", [0, -1, 2.5, True, "2", np.bool_(True), float("nan")])
def test_number_of_threads(small, rtl, threads):
    zeros = np.zeros((1, 1, 5, 4), int)
    for action in (small.predict, small.predict_raw, rtl.predict, rtl.predict_raw):
        with pytest.raises(SparsePixError, match=r"threads: expected a whole number of at least 1, or None for all"):
            action(zeros, threads=threads)


def test_all_cores_and_more(small):
    assert 1 <= checked_threads(None) <= os.cpu_count()
    images = some_images(50)
    expected = small.predict(images)
    for threads in (None, 2, np.int64(3), 49, 10**12):
        assert_array_equal(small.predict(images, threads=threads), expected)


@pytest.mark.parametrize("io", ["parallel", "stream"])
@pytest.mark.parametrize(("backend", "events"), [("native", 2000), ("ap_fixed", 100)])
def test_four_threads(tmp_path, io, backend, events):
    """``tests/tools/predict_threads.py`` runs more events of a larger model."""
    path = whole_model(height=24, width=24).save(tmp_path / "net.onnx")
    project = hls.translate(path, tmp_path / "net", options=Options(io=io))
    project.compile(backend)
    rng = np.random.default_rng(1)
    images = rng.random((4 * events, 1, 24, 24)) * 4 * (rng.random((4 * events, 1, 24, 24)) < 0.02)
    expected = reference.run(read_model(path).model, images).real
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
    emulate = ["net_emulate", "net_emulate_double", "net_emulate_raw", "net_interface"]
    assert re.findall(r" T (\w+)", symbols) == [*emulate, "net_run", "net_run_double", "net_run_float"]


def test_a_bad_event_in_one_of_the_threads(small):
    images = some_images(400)
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
    images = some_images(300)
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
    images = some_images(9)
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
    images = some_images(9)
    expected = small.predict(images)
    with pytest.raises(
        SparsePixError, match="the compiled firmware cannot be loaded, is the compiler one for this mach"
    ):
        small.compile()
    assert_array_equal(small.predict(images), expected)
    assert not list((small.directory / "build").iterdir())


@pytest.mark.verilator
def test_rtl_from_threads_and_processes(rtl, tmp_path):
    """Simulations side by side: calls from threads, one call that is shared, and other processes in the same folder."""
    images = some_images(700, seed=5)
    images[:, 0, 0, 0] = np.arange(700) % 256 / 64
    expected = reference.run(read_model(rtl.directory.parent / "net.onnx").model, images).real
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


@pytest.mark.verilator
def test_rtl_folder_that_is_gone(rtl, tmp_path, monkeypatch):
    shutil.copytree(rtl.directory, tmp_path / "here")
    project = hls.RtlProject(tmp_path / "here", rtl.graph, rtl.part, rtl.modules)
    project.compile()
    images = some_images(3)
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
