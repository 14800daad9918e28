"""The command ``sparsepix-export``: a model file becomes an ONNX file."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sparsepix_ops import command
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
    # Behind the arguments: torch takes seconds to import, and --help needs none of it.
    from rich.console import Console

    from sparsepix_ops.files import output_of, shell_word

    console = Console(stderr=True)
    output = output_of(arguments.model_file, ".onnx", arguments.output, b"sparsepix")
    with console.status("loading torch"):
        from sparsepix.export import export_onnx
    with console.status("exporting the model"):
        model = _load(arguments)
        shape = tuple(arguments.input_shape) if arguments.input_shape else None
        exported = export_onnx(model, output, shape)
    wide = exported.graph.node[0].op_type == "Cast"
    print(f"{output}: {output.stat().st_size / 1024:.0f} KiB, exact in {'float64' if wide else 'float32'}")
    print(f"next: sparsepix-hls {shell_word(output)} --part xcvu9p --csim")
    return command.EXIT_OK


def _load(arguments: argparse.Namespace) -> "nn.Module":
    from torch import nn

    from sparsepix.saving import load, load_state, read_file
    from sparsepix_ops.errors import SparsePixError

    path = arguments.model_file
    if arguments.model:
        model = _factory(arguments.model)()
        if not isinstance(model, nn.Module):
            raise SparsePixError(
                f"--model {arguments.model}: expected a torch module, it made a {type(model).__name__}"
            )
        content = read_file(path, arguments.allow_pickle)
        state = content.get("state_dict", content) if isinstance(content, dict) else content
        if isinstance(state, nn.Module):
            state = state.state_dict()
        if not isinstance(state, dict):
            raise SparsePixError(f"{path}: expected a state_dict, found a {type(state).__name__}")
        load_state(model, state, str(path))
        return model
    if arguments.allow_pickle:
        content = read_file(path, allow_pickle=True)
        if isinstance(content, nn.Module):
            return content
    return load(path)


def _factory(name: str) -> "type[nn.Module]":
    """The function that 'package.module:factory' names; modules in the current folder are found too."""
    import importlib

    from sparsepix_ops.errors import SparsePixError

    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise SparsePixError(f"--model: expected package.module:factory, found {name!r}")
    sys.path.insert(0, str(Path.cwd()))
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise SparsePixError(f"--model {name}: {error}") from None
    finally:
        sys.path.pop(0)
    if not callable(factory):
        raise SparsePixError(f"--model {name}: expected a function or class, found a {type(factory).__name__}")
    return factory


if __name__ == "__main__":
    raise SystemExit(main())
