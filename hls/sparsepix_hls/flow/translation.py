"""From an ONNX file to a firmware project on disk."""

import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sparsepix_hls.design.checks import check_clock
from sparsepix_hls.design.options import Options
from sparsepix_hls.flow.backends import DEFAULT_BACKEND, BackendName, backend_design, find_backend
from sparsepix_hls.flow.fits import chosen_options, that_fit
from sparsepix_hls.flow.report import estimate_json, make_report, too_large, warnings, write_report
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.html.report_page import write_page
from sparsepix_hls.project.parts import find_part
from sparsepix_hls.project.size_checks import check_memory
from sparsepix_hls.project.testbench_data import EVENTS, given_events, synthetic_events
from sparsepix_ops import reference
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.files import atomic_directory, output_folder

if TYPE_CHECKING:
    from sparsepix_hls.cpp.project import Project
    from sparsepix_hls.rtl.tools.project import RtlProject

PICTURE = "estimate.png"
# What our Makefiles and scripts build in a project: --force removes it with the project.
PRODUCTS = (
    "vitis/",
    "vivado/",
    ".Xil/",
    "vitis*.log",
    "vivado*.log",
    "vivado*.jou",
    "vivado*.str",
    "yosys.txt",
    "build/V*",
    "build/verilated*",
    "build/make.*/",
    "build/yosys.*/",
    "build/yosys/",
    "build/place.json",
    "build/place_cells.txt",
    "build/place_pins",
    "build/place_*.log",
    "build/*_shell.json",
    "build/*_shell.config",
    "build/*_shell.bit",
    "build/*_shell.fs",
    "build/sim",
    "build/*_tb",
    "build/*.so",
    "build/*_emulator.h",
    "build/*.o",
    "build/*.d",
)


def translate(
    model: Path | str,
    output_dir: Path | str,
    part: str = "xcvu9p",
    clock_ns: float = 5.0,
    force: bool = False,
    keep_head: bool = False,
    testbench_inputs: np.ndarray | None = None,
    options: Options | None = None,
    backend: BackendName = DEFAULT_BACKEND,
    picture: bool = False,
    must_fit: bool = False,
    tell: Callable[[str], object] = lambda _: None,
) -> "Project | RtlProject":
    """Translate an ONNX model to a firmware project.

    Nothing is written before every check has passed, and the folder appears only once it is complete.

    Args:
        model: the ONNX file.
        output_dir: folder to make; its marker (``.sparsepix.json``) lists what was written.
        part: FPGA, as a short name ('xcvu9p') or a full one ('xcu250-figd2104-2L-e').
        clock_ns: clock period in nanoseconds.
        force: replace a project in ``output_dir`` that holds nothing but what was written or built there.
        keep_head: translate a Sigmoid or Softmax at the end, which is left out otherwise.
        testbench_inputs: images of real numbers [events, C, H, W] for the testbench; synthetic ones if left out.
        options: kernels, reuse and ports; all of them compute the same bits.
        backend: 'hls': C++ for Vitis HLS; 'rtl': SystemVerilog.
        picture: also draw the estimate, as ``estimate.png`` in the folder, and write ``report.html``, the report for a
            browser; matplotlib takes about a second.
        must_fit: refuse a design that by estimate needs more than the part has, instead of a warning.
        tell: called with what is going on, in a few words.

    Returns:
        A ``Project`` of C++, or an ``RtlProject``.

    Raises:
        SparsePixError: the model, the part, the clock, the folder, the images, the options or the backend are not
            usable; says what to do.
    """
    way = find_backend(backend)
    source = Path(model)
    clock_ns = check_clock(clock_ns)
    if not isinstance(options, Options | None):
        raise SparsePixError(f"options: expected Options(...), found {reprlib.repr(options)}")
    device = find_part(part)
    place = output_folder(output_dir, "project", force, PRODUCTS)
    tell("reading the model")
    read = read_model(source, keep_head)
    graph = read.graph
    given = None if testbench_inputs is None else given_events(graph, testbench_inputs)
    check_memory(graph, EVENTS if given is None else len(given))
    asked = options or Options()
    tell("choosing the design")
    options, decided = chosen_options(graph, asked, clock_ns, way, device)
    design, chosen = backend_design(graph, options, clock_ns, way)
    tell(f"writing it in {way.language}")
    firmware = way.lower(design, clock_ns, device)
    tell("estimating it")
    estimated = firmware.estimate()
    offers: tuple[str, ...] = ()
    if too_large(estimated.total, device):
        tell("too large: looking for designs that fit")
        offers = that_fit(graph, asked, clock_ns, way, device)
        if must_fit:
            raise SparsePixError(warnings(estimated.total, device, offers)[0], f"model {graph.name} does not fit")
    notices = read.notices + decided + chosen
    if not device.known:
        notices += (f"{device.full_name}: the table of parts has no such device; its utilization is unknown",)
    if given is None:
        inputs, origin = synthetic_events(graph), "synthetic events: hard cases and random images, no real data"
    else:
        inputs, origin = given, "events given by the user"
    tell(f"expected results of {len(inputs)} events")
    image = np.ldexp(inputs.astype(np.float64), graph.input.type.exponent)
    found = reference.run(read.model, image, keep_head)
    exact = found if isinstance(found, dict) else {next(iter(graph.results)): found}
    outputs = {name: exact[name].at(tensor.type.exponent).raw for name, tensor in graph.results.items()}
    testbench = {"events": len(inputs), "origin": origin}
    estimate = estimate_json(estimated, device, clock_ns, offers)
    report = make_report(
        design, source, device, clock_ns, notices, testbench, way.name, way.found_later, estimate, read.ranges
    )
    tell("writing the project")
    with atomic_directory(place) as folder:
        firmware.write(folder, device.full_name, inputs, outputs)
        write_report(folder, report)
        if picture:
            tell("drawing the estimate and the report")
            from sparsepix_hls.flow.pictures import estimate_figure, save

            save(estimate_figure(report), folder / PICTURE)
            write_page(folder, report)
    return firmware.open(place.path, graph, device)
