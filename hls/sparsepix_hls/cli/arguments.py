"""The arguments of ``sparsepix-hls``: its subcommands ``report`` and ``dais``, and without a word the translation.

Only the standard library is imported here, and what declares the options: ``--help`` has to answer at once.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sparsepix_hls.design.options import Options
from sparsepix_ops.system.options import add_options, from_arguments, given_options, option
from sparsepix_ops.version import __version__

_DESCRIPTION = "Translate an ONNX model of a sparse CNN to a verified HLS or RTL project for an FPGA."

_EPILOG = """\
examples:
  sparsepix-hls model.onnx --part xcvu9p --clock 5 --csim
  makes the folder model_hls: firmware, testbench with data, build.tcl for Vitis HLS, a Makefile for g++,
  report.html (for a browser), report.json, estimate.png; then compiles the testbench with g++ and compares every
  output bit for bit.

  sparsepix-hls model.onnx --backend rtl --simulate --synthesize
  makes the folder model_rtl: SystemVerilog, testbench with data, scripts for Yosys and Vivado, a Makefile, report.json;
  then compares every output bit in Verilator, measures latency and interval, and counts LUTs with Yosys.

  sparsepix-hls model.onnx --backend rtl --part lfe5u-85f --clock 10 --place
  places and routes the design on a Lattice ECP5 (or a Gowin) with Yosys and nextpnr, which come from PyPI.

  sparsepix-hls model.onnx --explore
  estimates many designs instead: a table, a picture of latency against area, and a page for a browser.

  sparsepix-hls report model_hls
  shows the estimate of a project again, beside what simulation, synthesis or Vitis HLS found there, and writes
  its report.html anew.

  sparsepix-hls dais model.onnx -o model.json
  writes the model for da4ml's own tools: da4ml convert model.json DIR.

A model file named 'report' or 'dais' is given as ./report or ./dais.

exit status: 0, or 1 if outputs of a simulation differ, or 2 on an error,
  or 130 if interrupted (SIGTERM: 143, SIGHUP: 129)
"""

_MODEL = "ONNX file, as sparsepix-export writes it"


@dataclass(frozen=True)
class Translate:
    """``sparsepix-hls MODEL``: make a project, or explore designs. ``design`` holds the given fields of ``Options``."""

    model: str = option(help=_MODEL, flags=())
    output: str | None = option(
        None,
        "folder to make (default: <model>_hls or <model>_rtl beside the model)",
        flags=("-o", "--output"),
        metavar="DIR",
    )
    backend: str = option("hls", "C++ for Vitis HLS, or SystemVerilog (default: %(default)s)", choices=("hls", "rtl"))
    part: str = option(
        "xcvu9p", "FPGA: a short name as xcvu9p, or a full one as xcu250-figd2104-2L-e (default: %(default)s)"
    )
    clock: float = option(5.0, "clock period (default: %(default)s ns)", metavar="NS")
    csim: bool = option(False, "hls: compile with g++, run the testbench, compare every bit")
    schedule: bool = option(
        False,
        "hls: schedule the C++ itself, without a vendor's tool: interval and depth of each loop; takes minutes, with "
        "--explore for each of twelve designs",
    )
    simulate: bool = option(
        False, "rtl: build with Verilator, run the testbench, compare every bit; measure latency and interval"
    )
    synthesize: bool = option(False, "rtl: map to the part with Yosys; LUTs, flip-flops, logic levels")
    place: bool = option(
        False, "rtl: place and route on ECP5 or Gowin with Yosys and nextpnr; the clock, the cells, the longest path"
    )
    pins: str | None = option(
        None, "pins of the ports of the shell, for --place: makes a bitstream too", metavar="FILE.lpf|FILE.cst"
    )
    place_minutes: float | None = option(
        None, "minutes that --place may take (default: as long as it takes)", metavar="M"
    )
    force: bool = option(False, "replace an existing project in the output folder")
    must_fit: bool = option(False, "refuse a design that by estimate needs more than the part has")
    keep_head: bool = option(
        False, "translate a Sigmoid or Softmax at the end as an exact table (default: leave it out, return logits)"
    )
    testbench_data: str | None = option(
        None,
        "images for the testbench, numbers [events, channels, height, width] (default: synthetic events)",
        metavar="FILE.npy",
    )
    config: str | None = option(
        None, "the same options, and those of single layers", group="design", metavar="FILE.yaml"
    )
    explore: bool = option(False, "estimate many designs: table, picture and csv instead of a project", group="design")
    design: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """``sparsepix-hls report DIR``: show what is known of a project."""

    project: str = option(help="a project that sparsepix-hls made", flags=(), metavar="DIR")


@dataclass(frozen=True)
class Dais:
    """``sparsepix-hls dais MODEL``: write the model for da4ml's own tools."""

    model: str = option(help=_MODEL, flags=())
    output: str | None = option(
        None, "file to write (default: <model>.json beside it)", flags=("-o", "--output"), metavar="FILE.json"
    )


# Meant where no subcommand is named. No user types it: 'sparsepix-hls translate' translates a file of that name.
_DEFAULT = "translate"
_NAMED = ("report", "dais")


def parse(given: Sequence[str]) -> Translate | Report | Dais:
    """What the user asks for.

    Args:
        given: the words after the name of the command.

    Raises:
        SystemExit: the help was printed (status 0), or what is wrong with the words (status 2).
    """
    named = bool(given) and given[0] in _NAMED
    word, *rest = given if named else (_DEFAULT, *given)
    parser, parsers = _make_parsers()
    try:
        arguments, unknown = parser.parse_known_args([word, *rest])
        if unknown:
            parsers[word].error(f"unrecognized arguments: {' '.join(unknown)}")
    except SystemExit as end:
        if end.code and named and os.path.isfile(word):  # noqa: PTH113 (pathlib takes longer to import than the rest)
            print(f"note: {word!r} is a subcommand; for the model file of that name write ./{word}", file=sys.stderr)
        raise
    if word == "report":
        return from_arguments(Report, arguments)
    if word == "dais":
        return from_arguments(Dais, arguments)
    return from_arguments(Translate, arguments, design=given_options(Options, arguments))


def _make_parsers() -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """The parser of the command, and those of its subcommands by name."""
    parser = argparse.ArgumentParser(prog="sparsepix-hls", add_help=False)
    commands = parser.add_subparsers(required=True)
    _add_translate(
        commands.add_parser(
            _DEFAULT,
            prog="sparsepix-hls",
            description=_DESCRIPTION,
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    report = commands.add_parser(
        "report",
        description="Show what is known of a project: the estimate, and what simulation, synthesis or Vitis HLS found.",
    )
    add_options(report, Report)
    dais = commands.add_parser(
        "dais",
        description="Write what follows the input reduction, fully parallel, as a file that 'da4ml convert' reads.",
    )
    add_options(dais, Dais)
    return parser, commands.choices


def _add_translate(parser: argparse.ArgumentParser) -> None:
    add_options(parser, Translate)
    version = f"%(prog)s {__version__}"
    parser.add_argument("--version", action="version", version=version, help="print the version")
    design = parser.add_argument_group("design", "latency against area; every choice computes the same bits")
    add_options(design, Options)
    add_options(design, Translate, "design")
