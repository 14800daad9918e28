"""From an ONNX file to a firmware project on disk."""

import os
import reprlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sparsepix_hls.backends import Backend, backend_design, check_backend
from sparsepix_hls.choices import check_clock
from sparsepix_hls.design import Options
from sparsepix_hls.estimate import KIND, estimate_design, estimate_json
from sparsepix_hls.parts import find_part
from sparsepix_hls.project import Project
from sparsepix_hls.reader import read_model
from sparsepix_hls.report import REPORT, make_report, write_report
from sparsepix_hls.rtl.estimate import KIND as RTL_KIND
from sparsepix_hls.rtl.estimate import estimate_rtl
from sparsepix_hls.rtl.project import RtlProject
from sparsepix_hls.rtl.writer import rtl_modules, write_rtl_project
from sparsepix_hls.size_checks import check_memory
from sparsepix_hls.testbench_data import EVENTS, given_events, synthetic_events
from sparsepix_hls.writer import write_project
from sparsepix_ops import integer
from sparsepix_ops.errors import SparsePixError


def translate(
    model: Path | str,
    output_dir: Path | str,
    part: str = "xcvu9p",
    clock_ns: float = 5.0,
    force: bool = False,
    keep_head: bool = False,
    testbench_inputs: np.ndarray | None = None,
    options: Options | None = None,
    backend: Backend = "hls",
) -> Project | RtlProject:
    """Translate an ONNX model to a firmware project.

    Nothing is written before every check has passed, and the folder appears only once it is complete.

    Args:
        model: the ONNX file.
        output_dir: folder to make.
        part: FPGA, as a short name ('xcvu9p') or a full one ('xcu250-figd2104-2L-e').
        clock_ns: clock period in nanoseconds.
        force: replace an existing project in ``output_dir``.
        keep_head: translate a Sigmoid or Softmax at the end, which is left out otherwise.
        testbench_inputs: images of real numbers [events, C, H, W] for the testbench; synthetic ones if left out.
        options: kernels, reuse and ports; all of them compute the same bits.
        backend: 'hls': C++ for Vitis HLS; 'rtl': SystemVerilog.

    Returns:
        A ``Project`` of C++, or an ``RtlProject``.

    Raises:
        SparsePixError: the model, the part, the clock, the folder, the images, the options or the backend are not
            usable; says what to do.
    """
    check_backend(backend)
    source, target = Path(model), Path(output_dir)
    clock_ns = check_clock(clock_ns)
    if not isinstance(options, Options | None):
        raise SparsePixError(f"options: expected Options(...), found {reprlib.repr(options)}")
    device = find_part(part)
    check_target(target, force)
    read = read_model(source, keep_head)
    graph = read.graph
    given = None if testbench_inputs is None else given_events(graph, testbench_inputs)
    check_memory(graph, EVENTS if given is None else len(given))
    design, chosen = backend_design(graph, options, clock_ns, backend)
    modules = rtl_modules(design, clock_ns) if backend == "rtl" else []
    notices = read.notices + chosen
    if not device.known:
        notices += (f"{device.full_name}: the table of parts has no such device; its utilization is unknown",)
    if given is None:
        inputs, origin = synthetic_events(graph), "synthetic events: hard cases and random images, no real data"
    else:
        inputs, origin = given, "events given by the user"
    image = np.ldexp(inputs.astype(np.float64), graph.input.type.exponent)
    found = integer.run(read.model, image, keep_head)
    exact = found if isinstance(found, dict) else {next(iter(graph.results)): found}
    outputs = {name: exact[name].at(tensor.type.exponent).raw for name, tensor in graph.results.items()}
    testbench = {"events": len(inputs), "origin": origin}
    if backend == "rtl":
        estimate = estimate_json(estimate_rtl(design, modules), RTL_KIND, device, clock_ns, hand_over_cycles=0)
    else:
        estimate = estimate_json(estimate_design(design, clock_ns), KIND, device, clock_ns)
    report = make_report(design, source, device, clock_ns, notices, testbench, backend, estimate)
    try:
        with replaced_when_complete(target) as folder:
            if backend == "rtl":
                write_rtl_project(design, modules, folder, device.full_name, clock_ns, inputs, outputs)
            else:
                write_project(design, folder, device.full_name, clock_ns, inputs, outputs)
            write_report(folder, report)
    except OSError as error:
        raise SparsePixError(f"{target}: cannot write the project there: {error.strerror or error}") from error
    if backend == "rtl":
        return RtlProject(target, graph, device, tuple(module.name for module in modules))
    return Project(target, graph)


def check_target(target: Path, force: bool, made_by: str = REPORT) -> None:
    """Raise SparsePixError unless the folder may be written: it does not exist, or may be replaced.

    Args:
        target: the folder.
        force: whether to replace what is there.
        made_by: a file that shows that the folder is one of ours.
    """
    if not os.path.lexists(target):
        return
    if not force:
        what = "the output folder exists" if target.is_dir() else "a file of that name exists"
        raise SparsePixError(f"{target}: {what}; choose another one, or replace a SparsePix project with --force")
    resolved = target.resolve()
    if target.is_symlink() or not target.is_dir():
        raise SparsePixError(f"{target}: expected a folder to replace, found a file or a link; choose another one")
    ours = made_by != REPORT or any((target / sources).is_dir() for sources in ("firmware", "rtl"))
    if not (ours and (target / made_by).is_file()):
        raise SparsePixError(
            f"{target}: --force only replaces what SparsePix made, and this folder is none of it: it has no {made_by}; "
            "choose another folder"
        )
    if resolved in (Path.cwd(), *Path.cwd().parents, Path.home().resolve()):
        raise SparsePixError(f"{target}: --force does not replace the current folder, one above it, or your home")


@contextmanager
def replaced_when_complete(target: Path) -> Iterator[Path]:
    """A fresh folder beside ``target`` that takes its place at the end; on any failure nothing is left of it."""
    parent = target.absolute().parent
    missing = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    parent.mkdir(parents=True, exist_ok=True)
    folder = None
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=parent))
        folder.chmod(0o777 & ~_umask())  # mkdtemp makes it private
        yield folder
        _swap(folder, target)
    except BaseException:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        for made in missing:
            if made.exists() and not any(made.iterdir()):
                made.rmdir()
        raise


def _swap(folder: Path, target: Path) -> None:
    if not target.exists():
        folder.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=folder.parent))
    target.rename(old / "project")
    try:
        folder.rename(target)
    except BaseException:
        (old / "project").rename(target)
        old.rmdir()
        raise
    shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
