"""The command ``sparsepix-hls``."""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

# Only the standard library up here: --help has to answer at once.
if TYPE_CHECKING:
    from rich.console import Console

    from sparsepix_hls.project import Project

EXIT_OK, EXIT_MISMATCH, EXIT_ERROR, EXIT_INTERRUPTED = 0, 1, 2, 130

_EPILOG = """\
example:
  sparsepix-hls model.onnx --part xcvu9p --clock 5 --csim
  makes the folder model_hls: firmware, testbench with data, build.tcl for Vitis HLS, a Makefile for g++,
  report.json; then compiles the testbench with g++ and compares every output bit for bit.

exit status: 0, or 1 if outputs of the C simulation differ, or 2 on an error
"""


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from sparsepix_ops.version import __version__

        print(f"sparsepix-hls {__version__}")
        parser.exit()


def make_parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    parser = argparse.ArgumentParser(
        prog="sparsepix-hls",
        description="Translate an ONNX model of a sparse CNN to a verified HLS project for an FPGA.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="ONNX file, as sparsepix-export writes it")
    parser.add_argument("-o", "--output", metavar="DIR", help="folder to make (default: <model>_hls beside the model)")
    parser.add_argument(
        "--part",
        default="xcvu9p",
        help="FPGA: a short name as xcvu9p, or a full one as xcu250-figd2104-2L-e (default: %(default)s)",
    )
    parser.add_argument("--clock", type=float, default=5.0, metavar="NS", help="clock period (default: %(default)s ns)")
    parser.add_argument("--csim", action="store_true", help="compile with g++, run the testbench, compare every bit")
    parser.add_argument("--force", action="store_true", help="replace an existing project in the output folder")
    parser.add_argument(
        "--keep-head",
        action="store_true",
        help="translate a Sigmoid or Softmax at the end as an exact table (default: leave it out, return logits)",
    )
    parser.add_argument(
        "--testbench-data",
        metavar="FILE.npy",
        help="images for the testbench, numbers [events, channels, height, width] (default: synthetic events)",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit status: 0, 1 if the C simulation found differences, 2 on an error of the user.
    """
    arguments = make_parser().parse_args(argv)
    try:
        from sparsepix_ops.errors import SparsePixError

        try:
            return _run(arguments)
        except (SparsePixError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return EXIT_ERROR
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _run(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from rich.console import Console

    from sparsepix_hls.report import add_csim, read_report

    console = Console(highlight=False)
    model = Path(arguments.model)
    target = Path(arguments.output) if arguments.output is not None else model.parent / f"{model.stem}_hls"
    with console.status("reading and translating the model"):
        from sparsepix_hls.translation import translate

        data = _load(Path(arguments.testbench_data)) if arguments.testbench_data is not None else None
        if arguments.csim:
            from sparsepix_hls.toolchain import find_compiler, find_make

            find_compiler()  # before anything is written
            find_make()
        project = translate(model, target, arguments.part, arguments.clock, arguments.force, arguments.keep_head, data)
    report = read_report(target)
    _show(console, report, project)
    for notice in report["notices"]:
        console.print(f"note: {notice}", markup=False, soft_wrap=True)
    status = EXIT_OK
    if arguments.csim:
        with console.status("compiling and running the testbench"):
            result = project.csim()
        add_csim(target, result.events, result.mismatches)
        status = EXIT_MISMATCH if result.mismatches else EXIT_OK
        verdict = f"C simulation: {result.events} events, {result.mismatches} mismatching outputs"
        console.print(verdict, style="bold red" if status else "bold green")
    console.print(f"project: {target}", markup=False, soft_wrap=True)
    following = f"cd {target} && vitis-run --mode hls --tcl build.tcl" if arguments.csim else f"make -C {target} csim"
    console.print(f"next: {following}", markup=False, soft_wrap=True)
    return status


def _load(path: Any) -> Any:
    import numpy as np

    from sparsepix_ops.errors import SparsePixError

    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise SparsePixError(f"{path}: expected a .npy file with images, found {found}")
    with contextlib.suppress(ValueError, EOFError):
        data = np.load(path, allow_pickle=False)
        if isinstance(data, np.ndarray):
            return data
    raise SparsePixError(f"{path}: expected a .npy file with one array of numbers; write it with numpy.save")


def _show(console: "Console", report: dict[str, Any], project: "Project") -> None:
    """Print the layers of a project and the estimate of its cost."""
    from rich import box
    from rich.table import Table

    estimate, part = report["estimate"], report["part"]
    table = Table(
        title=f"{project.graph.name} on {part['full_name']} at {report['clock_ns']:g} ns, estimated by counting",
        box=box.SIMPLE,
        padding=0,
        show_edge=False,
    )
    table.add_column("layer", overflow="fold")
    for heading in ("op", "output", "type"):
        table.add_column(heading, no_wrap=True)
    for heading in ("cycles", "DSP", "LUT", "FF"):
        table.add_column(heading, justify="right", no_wrap=True)
    for layer in report["layers"]:
        cost, output = estimate["layers"][layer["name"]], layer["outputs"][0]
        shape = "x".join(map(str, output["shape"]))
        counts = [f"{cost[key]:,}" for key in ("latency_cycles", "dsp", "lut", "ff")]
        table.add_row(layer["name"], layer["op"], shape, _short(output["type"]), *counts)
    table.add_section()
    total, used = estimate["total"], estimate["utilization"] or {}
    table.add_row("total", "", "", "", *(f"{total[key]:,}" for key in ("latency_cycles", "dsp", "lut", "ff")))
    if used:
        table.add_row("share", "", "", "", "", *(f"{used[key]:.1%}" for key in ("dsp", "lut", "ff")))
    console.print(table)
    console.print(
        f"estimated latency {estimate['latency_ns']:,.0f} ns, a new event every {estimate['interval_ns']:,.0f} ns "
        "(by counting; no synthesis has confirmed it)"
    )


def _short(type_name: str) -> str:
    """'ap_fixed<8, 3, AP_RND_CONV, AP_SAT>' as 'fixed<8,3>'."""
    width, integer = type_name.removeprefix("ap_").split(",")[:2]
    return f"{width},{integer.strip()}>"


if __name__ == "__main__":
    sys.exit(main())
