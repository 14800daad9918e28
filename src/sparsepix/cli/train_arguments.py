"""The arguments of ``sparsepix-train``: those of a run (see ``RunOptions``), of the machine and of a search.

Only the standard library is imported here, and what declares the options: ``--help`` has to answer at once.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sparsepix.training.run_options import RunOptions
from sparsepix.training.search_space import SPACE, Metric
from sparsepix_ops.system.options import add_options, from_arguments, given_options, option
from sparsepix_ops.version import __version__

_DESCRIPTION = (
    "Train a quantized sparse CNN of sparsepix.models; the folder then holds model.pt, history.csv, summary.json and "
    "pictures."
)

_EXAMPLES = """\
examples:
  sparsepix-train digits -o runs/digits
  sparsepix-train neutrino --data synthetic --max-pixels 20 --bits 8 --epochs 50 -o runs/neutrino
  Interrupted (Ctrl-C, SIGTERM, SIGHUP, a power cut)? The same command goes on where it stopped, to the same result.

  torchrun --nproc-per-node 4 -m sparsepix.cli.train neutrino --data synthetic -o runs/neutrino
  the same on 4 GPUs (or CPUs); for several machines add --nnodes and --rdzv-endpoint, and share the folder.

  sparsepix-train neutrino --data synthetic --epochs 10 --search 50 -o runs/search
  tries 50 choices of max_pixels, bits, selection and channels: accuracy against estimated latency and LUTs.
  More machines: the same command on each, with --storage postgresql://... and its own folder of the same name.

then: sparsepix-export runs/neutrino/model.pt
exit status: 0, or 2 on an error, or 130 if interrupted (SIGTERM: 143, SIGHUP: 129)
"""


def _folder(text: str) -> Path:
    if not text:  # from an unset shell variable, say; pathlib would take it for the current folder
        raise argparse.ArgumentTypeError("expected the name of a folder, found an empty one")
    return Path(text)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, found {text}")
    return number


def _space(text: str) -> tuple[str, list[str]]:
    name, _, values = text.partition("=")
    if not name or not all(values.split(",")):
        raise argparse.ArgumentTypeError(f"expected NAME=A,B,..., found {text!r}")
    return name, values.split(",")


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


@dataclass(frozen=True)
class Train:
    """``sparsepix-train``; ``run`` holds the given fields of ``RunOptions``."""

    output: Path = option(
        help="folder to make, or of a run to go on with", flags=("-o", "--output"), metavar="DIR", parse=_folder
    )
    force: bool = option(
        False, "throw away a run in that folder and begin again; refused if the folder holds other files"
    )
    device: Literal["auto", "cpu", "cuda"] = option("auto", "(default: a GPU if there is one)", group="machine")
    threads: int | None = option(
        None, "CPU threads (default: torch's own choice)", group="machine", metavar="T", parse=_positive
    )
    compile: bool = option(False, "use torch.compile", group="machine")
    estimate: bool = option(False, "also estimate latency and area of the firmware", group="machine")
    search: int | None = option(
        None, "try so many models more, chosen by optuna", group="search", metavar="TRIALS", parse=_positive
    )
    space: tuple[tuple[str, list[str]], ...] = option(
        (),
        f"values to choose from, for {_either(tuple(SPACE))}; one value: always this",
        group="search",
        metavar="NAME=A,B,...",
        parse=_space,
        repeated=True,
    )
    metric: Metric = option("accuracy", "of the validation images (default: %(default)s)", group="search")
    storage: str | None = option(
        None, "optuna storage (default: sqlite, search.db in the folder)", group="search", metavar="URL"
    )
    run: Mapping[str, Any] = field(default_factory=dict)


def parse(given: Sequence[str] | None) -> Train:
    """What the user asks for.

    Args:
        given: the words after the name of the command; None: those of this process.

    Raises:
        SystemExit: the help or the version was printed (status 0), or what is wrong with the words (status 2).
    """
    arguments = _make_parser().parse_args(given)
    return from_arguments(Train, arguments, run=given_options(RunOptions, arguments))


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sparsepix-train",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser, RunOptions)
    add_options(parser, Train)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    for name in ("data", "model", "training"):
        add_options(parser.add_argument_group(name), RunOptions, name)
    add_options(parser.add_argument_group("machine", "changes no option of a run"), Train, "machine")
    add_options(parser.add_argument_group("search", "many short trainings instead of one"), Train, "search")
    return parser
