"""The words that stand in the place of a model: ``sparsepix-hls report`` and ``sparsepix-hls dais``."""

import argparse
import os
import sys
from collections.abc import Sequence


def make_report_parser() -> argparse.ArgumentParser:
    """The arguments of ``sparsepix-hls report``."""
    parser = argparse.ArgumentParser(
        prog="sparsepix-hls report",
        description="Show what is known of a project: the estimate, and what simulation, synthesis or Vitis HLS found.",
    )
    parser.add_argument("project", metavar="DIR", help="a project that sparsepix-hls made")
    return parser


def make_dais_parser() -> argparse.ArgumentParser:
    """The arguments of ``sparsepix-hls dais``."""
    parser = argparse.ArgumentParser(
        prog="sparsepix-hls dais",
        description="Write what follows the input reduction, fully parallel, as a file that 'da4ml convert' reads.",
    )
    parser.add_argument("model", help="ONNX file, as sparsepix-export writes it")
    parser.add_argument("-o", "--output", metavar="FILE.json", help="file to write (default: <model>.json beside it)")
    return parser


def parsed(parser: argparse.ArgumentParser, given: Sequence[str]) -> argparse.Namespace:
    """The arguments of a subcommand; a first word that may stand for a file of that name is explained."""
    try:
        return parser.parse_args(given[1:])
    except SystemExit as end:
        if end.code and os.path.isfile(given[0]):  # noqa: PTH113 (pathlib takes longer to import than the rest)
            print(
                f"note: {given[0]!r} is a subcommand; for the model file of that name write ./{given[0]}",
                file=sys.stderr,
            )
        raise
