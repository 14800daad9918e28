"""The command ``sparsepix-hls``."""

import argparse
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sparsepix_hls.cli.subcommands import make_dais_parser, make_report_parser, parsed
from sparsepix_ops.system import command

# Only the standard library up here: --help has to answer at once.
if TYPE_CHECKING:
    from sparsepix_hls.design.options import Options

EXIT_OK, EXIT_MISMATCH = 0, 1

_EPILOG = """\
examples:
  sparsepix-hls model.onnx --part xcvu9p --clock 5 --csim
  makes the folder model_hls: firmware, testbench with data, build.tcl for Vitis HLS, a Makefile for g++,
  report.json, estimate.png; then compiles the testbench with g++ and compares every output bit for bit.

  sparsepix-hls model.onnx --backend rtl --simulate --synthesize
  makes the folder model_rtl: SystemVerilog, testbench with data, scripts for Yosys and Vivado, a Makefile, report.json;
  then compares every output bit in Verilator, measures latency and interval, and counts LUTs with Yosys.

  sparsepix-hls model.onnx --explore
  estimates many designs instead: a table, and a picture of latency against area.

  sparsepix-hls report model_hls
  shows the estimate of a project again, beside what simulation, synthesis or Vitis HLS found there.

  sparsepix-hls dais model.onnx -o model.json
  writes the model for da4ml's own tools: da4ml convert model.json DIR.

A model file named 'report' or 'dais' is given as ./report or ./dais.

exit status: 0, or 1 if outputs of a simulation differ, or 2 on an error,
  or 130 if interrupted (SIGTERM: 143, SIGHUP: 129)
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
        description="Translate an ONNX model of a sparse CNN to a verified HLS or RTL project for an FPGA.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="ONNX file, as sparsepix-export writes it")
    parser.add_argument(
        "-o", "--output", metavar="DIR", help="folder to make (default: <model>_hls or <model>_rtl beside the model)"
    )
    parser.add_argument(
        "--backend",
        choices=["hls", "rtl"],
        default="hls",
        help="C++ for Vitis HLS, or SystemVerilog (default: %(default)s)",
    )
    parser.add_argument(
        "--part",
        default="xcvu9p",
        help="FPGA: a short name as xcvu9p, or a full one as xcu250-figd2104-2L-e (default: %(default)s)",
    )
    parser.add_argument("--clock", type=float, default=5.0, metavar="NS", help="clock period (default: %(default)s ns)")
    parser.add_argument(
        "--csim", action="store_true", help="hls: compile with g++, run the testbench, compare every bit"
    )
    parser.add_argument(
        "--simulate",
        action="store_true",
        help="rtl: build with Verilator, run the testbench, compare every bit; measure latency and interval",
    )
    parser.add_argument(
        "--synthesize", action="store_true", help="rtl: map to the part with Yosys; LUTs, flip-flops, logic levels"
    )
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
    _add_design_arguments(parser)
    return parser


def _add_design_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything that changes latency and area, and no bit of the results."""
    group = parser.add_argument_group("design", "latency against area; every choice computes the same bits")
    group.add_argument(
        "--reduce",
        choices=["scan", "stream", "tree", "auto"],
        help="input reduction: one active pixel a clock, P pixels a clock, or the whole image every clock",
    )
    group.add_argument(
        "--pixels-per-cycle", type=int, metavar="P", help="pixels a clock of a stream (default: one row of the image)"
    )
    group.add_argument(
        "--scan-pixels", type=int, metavar="P", help="rtl: active pixels that a scan lists a clock, 1 or 2 (default: 1)"
    )
    group.add_argument(
        "--io", choices=["parallel", "stream"], help="ports: all pixels at once, or AXI4-Stream with P pixels a beat"
    )
    group.add_argument(
        "--conv",
        choices=["pairs", "gather", "overlap", "auto"],
        help="convolutions: a looked-up weight for each pair of pixels, constant weights for each kernel position, or "
        "the first one overlapped with the scan",
    )
    group.add_argument(
        "--flatten", choices=["scatter", "lookup", "auto"], help="flatten and dense: a vector, or looked-up weights"
    )
    group.add_argument(
        "--dense", choices=["multiply", "adders", "auto"], help="dense layers: products, or a graph of adders (da4ml)"
    )
    group.add_argument("--reuse-factor", type=int, metavar="R", help="compute each layer in R rounds on 1/R of it")
    group.add_argument(
        "--target-interval", type=int, metavar="C", help="choose each layer's reuse: no stage slower than C cycles"
    )
    group.add_argument("--config", metavar="FILE.yaml", help="the same options, and those of single layers")
    group.add_argument(
        "--explore", action="store_true", help="estimate many designs: table, picture and csv instead of a project"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit status: 0, 1 if a simulation found differences, 2 on an error of the user, 128 and its number after a
        signal.
    """
    return command.run(lambda: _main(argv), leaving=argv is None)


def _main(argv: Sequence[str] | None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    if given[:1] == ["report"]:
        run, arguments = _report, parsed(make_report_parser(), given)
    elif given[:1] == ["dais"]:
        run, arguments = _dais, parsed(make_dais_parser(), given)
    else:
        arguments = make_parser().parse_args(given)
        run = _explore if arguments.explore else _run
    return run(arguments)


def _options(arguments: argparse.Namespace) -> "Options":
    """The options of the design: those of the file, and over them those of the command line."""
    from dataclasses import fields, replace

    from sparsepix_hls.design.options import Options
    from sparsepix_hls.design.options_file import read_options

    options = read_options(arguments.config) if arguments.config is not None else Options()
    names = [field.name for field in fields(Options) if field.name != "layers"]
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if "reuse_factor" in given and "target_interval" not in given:
        given["target_interval"] = None
    elif "target_interval" in given and "reuse_factor" not in given:
        given["reuse_factor"] = None
    return replace(options, **given)


def _commands(backend: str | None) -> ModuleType:
    """What the command does with the projects of a backend; a report from before there were two is of C++."""
    if backend == "rtl":
        from sparsepix_hls.cli import rtl_commands as commands
    else:
        from sparsepix_hls.cli import hls_commands as commands
    return commands


def _run(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from rich.console import Console

    from sparsepix_hls.cli.tables import show_estimate
    from sparsepix_hls.flow.report import read_report
    from sparsepix_ops.system.files import shell_word

    console = Console(highlight=False)
    model, commands = Path(arguments.model), _commands(arguments.backend)
    commands.check(arguments)
    given = arguments.output
    target = given if given is not None else model.parent / f"{model.stem}_{arguments.backend}"
    with console.status("reading and translating the model"):
        from sparsepix_hls.flow.translation import translate
        from sparsepix_hls.project.testbench_data import load_images

        data = load_images(Path(arguments.testbench_data)) if arguments.testbench_data is not None else None
        project = translate(
            model,
            target,
            arguments.part,
            arguments.clock,
            arguments.force,
            arguments.keep_head,
            data,
            _options(arguments),
            arguments.backend,
            picture=True,
        )
    report = read_report(project.directory)
    show_estimate(console, report)
    for notice in (*report["notices"], *report["estimate"]["warnings"]):
        console.print(f"note: {notice}", markup=False, soft_wrap=True)
    wrong = commands.verify(console, project, arguments)
    # Not by rich: it would read ':name:' in a path as an emoji.
    print(f"project: {target}\nnext: {commands.next_command(arguments, shell_word(target))}")
    return EXIT_MISMATCH if wrong else EXIT_OK


def _explore(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from rich.console import Console

    from sparsepix_hls.cli.tables import show_points
    from sparsepix_hls.flow.explore import explore, published_point, write_points
    from sparsepix_hls.flow.pictures import exploration_figure, save
    from sparsepix_hls.frontend.reader import read_model
    from sparsepix_hls.project.parts import find_part
    from sparsepix_ops.system.files import atomic_directory, output_folder

    console = Console(highlight=False)
    model = Path(arguments.model)
    target = arguments.output if arguments.output is not None else model.parent / f"{model.stem}_designs"
    part = find_part(arguments.part)
    given = {
        "--csim": arguments.csim,
        "--simulate": arguments.simulate,
        "--synthesize": arguments.synthesize,
        "--testbench-data": arguments.testbench_data is not None,
    }
    if any(given.values()):
        from sparsepix_ops.errors import SparsePixError

        refused = " and ".join(option for option, there in given.items() if there)
        raise SparsePixError(f"--explore makes no project: leave out {refused}")
    place = output_folder(target, "set of designs", arguments.force)
    graph = read_model(model, arguments.keep_head).graph
    points = explore(graph, _options(arguments), arguments.clock, console, arguments.backend)
    published = published_point(graph)
    show_points(console, points, published, part, graph.name)
    with atomic_directory(place) as folder:
        write_points(folder / "designs.csv", points)
        save(exploration_figure(points, published, graph.name, arguments.clock), folder / "designs.png")
    print(f"all {len(points)} designs: {Path(target) / 'designs.csv'}, {Path(target) / 'designs.png'}")
    return EXIT_OK


def _dais(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from sparsepix_hls.frontend.reader import read_model
    from sparsepix_hls.rtl.tools.dais import write_dais
    from sparsepix_ops.system.files import output_of, shell_word

    model = Path(arguments.model)
    target = output_of(model, ".json", arguments.output, b"[[")
    operations = write_dais(read_model(model).graph, target)
    print(f"{target}: {operations:,} operations; inputs are raw features and coords")
    print(f"next: da4ml convert {shell_word(target)} DIR")
    return EXIT_OK


def _report(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from rich.console import Console

    from sparsepix_hls.flow.report import open_report

    directory = Path(arguments.project)
    report = open_report(directory)
    _commands(report.get("backend")).show(Console(highlight=False), directory, report)
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
