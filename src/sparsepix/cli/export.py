"""The command ``sparsepix-export``: a model file becomes an ONNX file."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sparsepix_ops.system import command
from sparsepix_ops.version import __version__

if TYPE_CHECKING:
    from torch import nn

EXAMPLE = """\
example:
  sparsepix-export model.pt                                  writes model.onnx beside it
  sparsepix-export weights.pt --model mynet.models:build --input-shape 1 64 64
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sparsepix-export",
        description="Export a quantized sparse CNN to an ONNX file that stock onnxruntime and sparsepix-hls read.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model_file", type=Path, metavar="model.pt", help="file of sparsepix.save, or a state_dict")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="ONNX file to write (default: beside the input, same name)"
    )
    parser.add_argument(
        "--model",
        metavar="PACKAGE.MODULE:FACTORY",
        help="build the model by calling this function, then load the file's state_dict into it",
    )
    parser.add_argument(
        "--input-shape",
        type=int,
        nargs=3,
        metavar=("C", "H", "W"),
        help="shape of an image, for a model of your own (default: model.input_shape)",
    )
    parser.add_argument(
        "--allow-pickle",
        action="store_true",
        help="read a pickled module; this runs code that the file names, so only for files you trust",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        Its exit status: 0, 2 for wrong input, 128 and its number after a signal.
    """
    return command.run(lambda: _main(argv), leaving=argv is None)


def _main(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    # After the arguments: torch takes seconds to import, and --help needs none of it.
    from rich.console import Console

    from sparsepix.cli import user_code
    from sparsepix_ops.errors import SparsePixError
    from sparsepix_ops.system.files import output_of, shell_word
    from sparsepix_ops.system.progress import step
    from sparsepix_ops.system.tools import require

    console = Console(stderr=True)
    _check(arguments)
    output = output_of(arguments.model_file, ".onnx", arguments.output, b"sparsepix")
    require("sparsepix-export", "torch", "brevitas", "onnx")
    with step(console, "loading torch", "torch loaded"):
        from sparsepix.export.exporter import export_onnx
    with step(console, "exporting the model", "model exported") as now:
        now.tell("reading it")
        model = _load(arguments)
        now.tell("recording and checking it")
        shape = tuple(arguments.input_shape) if arguments.input_shape else None
        try:
            exported = export_onnx(model, output, shape)
        except SparsePixError as error:
            raise SparsePixError(f"{error}{user_code.at(error.__cause__)}") from error
    wide = exported.graph.node[0].op_type == "Cast"
    print(f"{output}: {output.stat().st_size / 1024:.0f} KiB, exact in {'float64' if wide else 'float32'}")
    print(f"next: sparsepix-hls {shell_word(output)} --part xcvu9p --csim")
    return command.EXIT_OK


def _check(arguments: argparse.Namespace) -> None:
    """What can be told from the arguments alone."""
    from math import prod

    from sparsepix.cli.user_code import name_problems
    from sparsepix_ops.errors import SparsePixError

    problems = [] if arguments.model is None else name_problems(arguments.model)
    shape = arguments.input_shape
    if shape and not 1 <= min(shape) <= max(shape) < 1 << 62:
        problems.append(f"--input-shape: expected channels, height and width of at least 1, found {shape}")
    elif shape and 4 * prod(shape) >= 1 << 31:
        problems.append(
            f"--input-shape: an image of {shape} takes {4 * prod(shape) >> 30:,} GiB; an ONNX file holds 2 GiB"
        )
    if problems:
        raise SparsePixError(problems)


def _load(arguments: argparse.Namespace) -> "nn.Module":
    from torch import nn

    from sparsepix.cli import user_code
    from sparsepix.models.saving import load
    from sparsepix.models.state_dicts import find_state, load_state
    from sparsepix.models.torch_files import read_file

    path = arguments.model_file
    if arguments.model:
        content = read_file(path, arguments.allow_pickle)
        model = user_code.build(arguments.model)
        load_state(model, find_state(content, list(model.state_dict()), str(path)), str(path))
        return model
    if arguments.allow_pickle:
        content = read_file(path, allow_pickle=True)
        if isinstance(content, nn.Module):
            return content
    return load(path)


if __name__ == "__main__":
    raise SystemExit(main())
