"""The command ``sparsepix-import``: a model of Keras becomes a model file."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sparsepix_ops.system import command
from sparsepix_ops.version import __version__

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from sparsepix.models.sparse_cnn import SparseCNN
    from sparsepix_ops.fixed_point import FixedPoint

EXAMPLE = """\
example:
  sparsepix-import model.keras --images images.npy           writes model.pt beside it
  sparsepix-import new.weights.h5 --like model.keras --input-format 'ap_ufixed<10, 0>'
"""
DEFAULT_FORMAT = "ap_fixed<16, 2>"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sparsepix-import",
        description="Bring a model of Keras, with the layers of sparsepixels and HGQ2, over to a file for "
        "sparsepix-export, exactly. Needs neither Keras nor TensorFlow.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model_file", type=Path, metavar="model.keras", help="archive of Keras, or weights with --like")
    parser.add_argument("-o", "--output", metavar="FILE", help="file to write (default: beside the input, same name)")
    parser.add_argument("--like", type=Path, metavar="model.keras", help="archive of a model of the same layers")
    parser.add_argument(
        "--input-format",
        metavar="TYPE",
        help="of the image, which Keras does not quantize, as 'ap_ufixed<10, 0>' (default: with --images the narrowest "
        f"that changes no decision, else '{DEFAULT_FORMAT}')",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FILE",
        help="images [E, H, W, C] as Keras takes them, .npy, or .npz with 'images': compare the decisions on them",
    )
    parser.add_argument("--pool-format", metavar="TYPE", help="of averages over windows whose size is no power of two")
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
    from rich.console import Console

    from sparsepix_ops.errors import SparsePixError
    from sparsepix_ops.fixed_point import FixedPoint
    from sparsepix_ops.system.files import output_of, shell_word
    from sparsepix_ops.system.progress import step
    from sparsepix_ops.system.tools import require

    console = Console(stderr=True)
    formats: dict[str, FixedPoint | None] = {}
    problems = []
    for option in ("input_format", "pool_format"):
        text = getattr(arguments, option)
        try:
            formats[option] = None if text is None else FixedPoint.parse(text)
        except SparsePixError as error:
            problems.append(f"--{option.replace('_', '-')}: {error}")
    if problems:
        raise SparsePixError(problems)
    output = output_of(arguments.model_file, ".pt", arguments.output, b"sparsepix")
    require("sparsepix-import", "torch", "brevitas", "h5py")
    with step(console, "loading torch", "torch loaded"):
        from sparsepix.models.from_keras import from_keras
        from sparsepix.models.input_format import with_input_format
        from sparsepix.models.saving import save
    with step(console, "reading the model", "model read"):
        model = from_keras(arguments.model_file, None, formats["pool_format"], like=arguments.like)
        images = None if arguments.images is None else _images(arguments.images)
    format = formats["input_format"]
    if images is not None:
        format = _compared(model, images, format, console)
    elif format is None:
        format = FixedPoint.parse(DEFAULT_FORMAT)
        print(
            f"the image is taken as {DEFAULT_FORMAT}: -2 ... 2 in steps of 2**-14; --images finds the narrowest format "
            "that changes no decision"
        )
    save(with_input_format(model, format), output)
    kind = "sparse CNN" if model.architecture.sparse else "standard CNN, for torch alone"
    print(f"{output}: {kind}, {len(model.architecture.layers)} layers, image {_short(format)}")
    if model.architecture.sparse:
        print(f"next: sparsepix-export {shell_word(output)}")
    return command.EXIT_OK


def _images(path: Path) -> "np.ndarray":
    """Images [E, C, H, W] of a file that has them [E, H, W, C]."""
    import zipfile
    import zlib

    import numpy as np

    from sparsepix_ops.errors import SparsePixError

    try:
        content = np.load(path, allow_pickle=False)
        images = content if isinstance(content, np.ndarray) else content["images"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise SparsePixError(f"{path}: expected images in .npy, or in .npz by the name 'images' ({error})") from None
    if images.ndim != 4 or images.dtype.kind not in "iuf":
        raise SparsePixError(f"{path}: expected images [E, H, W, C], found {images.dtype} {images.shape}")
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)


def _compared(
    model: "SparseCNN", images: "np.ndarray", format: "FixedPoint | None", console: "Console"
) -> "FixedPoint":
    """The format of the image: the given one, or the narrowest that changes nothing; prints what they do."""
    from rich.table import Table

    from sparsepix.models.input_format import compare_format, try_input_formats
    from sparsepix_ops.system.progress import step

    with step(console, "comparing formats of the image", "formats of the image compared"):
        tried = try_input_formats(model, images) if format is None else [compare_format(model, images, format)]
    table = Table(title=f"format of the image, {len(images)} images, against the model without one")
    for heading in ("format", "other pixels kept", "other decisions", "largest difference"):
        table.add_column(heading, justify="left" if heading == "format" else "right")
    for row in tried:
        table.add_row(_short(row.format), f"{row.selections}", f"{row.decisions}", f"{row.difference:.2g}")
    console.print(table)
    return tried[-1].format


def _short(format: "FixedPoint") -> str:
    """A format without its modes."""
    return f"{str(format).rsplit(', ', 2)[0]}>"


if __name__ == "__main__":
    raise SystemExit(main())
