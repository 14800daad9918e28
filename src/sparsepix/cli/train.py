"""The command ``sparsepix-train``: train a preset on a data set, or search for a good one."""

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsepix_ops.system import command
from sparsepix_ops.system.command import EXIT_ERROR, EXIT_OK
from sparsepix_ops.version import __version__

# Nothing heavy up here: --help has to answer at once.
if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from sparsepix.datasets import Dataset
    from sparsepix.training.history import History
    from sparsepix.training.run_options import RunOptions
    from sparsepix.training.runs import Summary

PRESETS = ("neutrino", "jet", "mnist", "digits", "muon")

EXAMPLE = """\
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


def make_parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    parser = argparse.ArgumentParser(
        prog="sparsepix-train",
        description="Train a quantized sparse CNN of sparsepix.models; the folder then holds model.pt, history.csv, "
        "summary.json and pictures.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("preset", choices=PRESETS, help="the model")
    add("-o", "--output", type=_folder, required=True, metavar="DIR", help="folder to make, or of a run to go on with")
    add(
        "--force",
        action="store_true",
        help="throw away a run in that folder and begin again; refused if the folder holds other files",
    )
    add("--version", action="version", version=f"%(prog)s {__version__}")

    add = parser.add_argument_group("data").add_argument
    add(
        "--data",
        nargs="+",
        default=[],
        metavar="FILE",
        help="files or folders of the preset's data set, or 'synthetic' (default: synthetic; digits: those of "
        "scikit-learn; mnist: none)",
    )
    add("--events", type=int, metavar="E", help="synthetic events to make (default: 20,000)")
    add("--augment", type=int, default=0, metavar="PIXELS", help="shift half of the training images by so many pixels")

    add = parser.add_argument_group("model").add_argument
    # Without a default here, so that a search knows what is to stay fixed.
    unset = argparse.SUPPRESS
    add("--max-pixels", type=int, default=unset, metavar="N", help="slots for active pixels (default: 20)")
    add("--bits", type=_bits, default=unset, help="width of weights and activations, or 'float' (default: 8)")
    add(
        "--selection",
        choices=["raster", "magnitude"],
        default=unset,
        help="keep the first or the largest N active pixels (default: raster)",
    )
    add(
        "--learn",
        nargs="+",
        choices=["max_pixels", "threshold", "bits"],
        default=[],
        help="learn these too; with --penalty, or nothing makes them smaller",
    )
    add("--channels", type=int, nargs="+", default=unset, metavar="C", help="out_channels of each convolution")

    add = parser.add_argument_group("training").add_argument
    add("--epochs", type=int, default=50, help="how many at most (default: %(default)s)")
    add("--batch-size", type=int, default=128, metavar="B", help="images a step (default: %(default)s)")
    add("--learning-rate", type=float, default=2e-3, metavar="RATE", help="its largest value (default: %(default)s)")
    add("--schedule", choices=["one-cycle", "constant"], default="one-cycle", help="of the rate (default: %(default)s)")
    add("--label-smoothing", type=float, default=0.0, metavar="S", help="share of a label that is spread over all")
    add(
        "--monitor",
        choices=["loss", "accuracy"],
        default="loss",
        help="of the validation images: decides the best epoch (default: %(default)s)",
    )
    add("--patience", type=int, metavar="EPOCHS", help="stop after so many epochs without a better one")
    add(
        "--penalty",
        type=_penalty,
        action="append",
        default=[],
        metavar="NAME=WEIGHT",
        help="add this penalty of the model to the loss: budget, masked_intensity, ebops",
    )
    add("--seed", type=int, default=0, help="of data, weights and training (default: %(default)s)")

    add = parser.add_argument_group("machine", "changes no option of a run").add_argument
    add("--device", choices=["auto", "cpu", "cuda"], default="auto", help="(default: a GPU if there is one)")
    add("--threads", type=_positive, metavar="T", help="CPU threads (default: torch's own choice)")
    add("--compile", action="store_true", help="use torch.compile")
    add("--estimate", action="store_true", help="also estimate latency and area of the firmware")

    group = parser.add_argument_group("search", "many short trainings instead of one")
    add = group.add_argument
    add("--search", type=_positive, metavar="TRIALS", help="try so many models more, chosen by optuna")
    add(
        "--space",
        type=_space,
        action="append",
        default=[],
        metavar="NAME=A,B,...",
        help="values to choose from, for max_pixels, bits, selection or channels; one value: always this",
    )
    add(
        "--metric", choices=["accuracy", "auc"], default="accuracy", help="of the validation images (default: accuracy)"
    )
    add("--storage", metavar="URL", help="optuna storage (default: sqlite, search.db in the folder)")
    return parser


def _folder(text: str) -> Path:
    if not text:  # as of an unset variable of a shell; pathlib would read it as the current folder
        raise argparse.ArgumentTypeError("expected the name of a folder, found an empty one")
    return Path(text)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, found {text}")
    return number


def _bits(text: str) -> int | None:
    return None if text == "float" else int(text)


def _penalty(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("=")
    try:
        return name, float(weight)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected NAME=WEIGHT, found {text!r}") from None


def _space(text: str) -> tuple[str, list[str]]:
    name, _, values = text.partition("=")
    if not name or not all(values.split(",")):
        raise argparse.ArgumentTypeError(f"expected NAME=A,B,..., found {text!r}")
    return name, values.split(",")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        Its exit status: 0, 2 for wrong input, 128 and its number after a signal.
    """
    arguments = argparse.Namespace()
    return command.run(
        lambda: _main(make_parser().parse_args(argv, arguments)),
        leaving=argv is None,
        interrupted=lambda what: _after_interruption(what, arguments),
    )


def _main(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from sparsepix.util.extras import needed_for
    from sparsepix_ops.errors import SparsePixError

    console = Console(stderr=True, highlight=False)
    options = _options(arguments)  # what is wrong with them is told before torch is loaded
    with console.status("loading torch"), needed_for("sparsepix-train"):
        from sparsepix.training import distributed
    device = distributed.choose_device(arguments.device)
    with distributed.process_group(device):
        if distributed.rank():
            console.quiet = True
        try:
            return _run(arguments, options, device, console)
        except (SparsePixError, OSError):
            if not console.quiet:
                raise
            return EXIT_ERROR


def _after_interruption(what: str, arguments: argparse.Namespace) -> str:
    """What to print; of several processes the first alone talks."""
    if int(os.environ.get("RANK", 0)):
        return ""
    if "output" not in arguments:
        return f"error: {what}"
    if arguments.search:
        kept = "keeps its trials and tries more"
    elif (arguments.output / "checkpoint.pt").exists():
        kept = "goes on from there"
    else:
        kept = "begins anew: no step was kept"
    return f"{arguments.output}: {what}; the same command {kept}"


def _run(arguments: argparse.Namespace, options: "RunOptions", device: Any, console: "Console") -> int:
    import torch

    from sparsepix import runs

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.search:
        return _search(arguments, options, device, console)
    runs.build_model(options)  # what it refuses is told before data are read, which may take minutes
    data = load_data(options, console)
    with (
        runs.stop_on_signals(lambda: console.print("stopping behind this step; Ctrl-C again stops at once")) as stop,
        _progress(options, len(data.train), console) as (on_epoch, on_step),
    ):
        summary = runs.train(
            options,
            data,
            arguments.output,
            device,
            force=arguments.force,
            compiled=arguments.compile,
            estimate=arguments.estimate,
            stop=stop,
            on_epoch=on_epoch,
            on_step=on_step,
        )
    if summary is not None:
        _show(summary, data, arguments.output)
    return EXIT_OK


def _search(arguments: argparse.Namespace, options: "RunOptions", device: Any, console: "Console") -> int:
    from rich.console import Console

    from sparsepix.training import distributed
    from sparsepix.training.search import front_table, parse_space, search
    from sparsepix_ops.errors import SparsePixError

    if distributed.world_size() > 1:
        raise SparsePixError(
            "--search: expected one process, found several of torchrun; start the command once on each machine or "
            "GPU, with the same --storage"
        )
    if arguments.force:
        raise SparsePixError(
            "--search goes on with its study and throws none away: leave out --force, or choose another -o"
        )
    fixed = [(name, [str(getattr(options, name))]) for name in ("max_pixels", "bits", "selection") if name in arguments]
    space = parse_space([*fixed, *arguments.space])
    if "channels" in arguments:
        raise SparsePixError("--search chooses the channels: give --space channels=A,B,... in place of --channels")
    data = load_data(options, console)
    found = search(
        options,
        data,
        arguments.output,
        arguments.search,
        device,
        space=space,
        metric=arguments.metric,
        storage=arguments.storage,
        console=console,
    )
    output = Console(highlight=False)
    output.print(front_table(found, arguments.metric))
    print(f"{arguments.output}: trials.csv, pareto.png, models/ of the front")
    return EXIT_OK


def _options(arguments: argparse.Namespace) -> "RunOptions":
    from dataclasses import fields

    from sparsepix.training.run_options import RunOptions

    given = {field.name: getattr(arguments, field.name) for field in fields(RunOptions) if field.name in arguments}
    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return RunOptions(**given | lists | {"penalties": dict(arguments.penalty)})


def load_data(options: "RunOptions", console: "Console | None" = None) -> "Dataset":
    """The data set that the options name.

    Args:
        options: of a run.
        console: shows progress.

    Raises:
        SparsePixError: the preset has no such data set; the files cannot be read.
    """
    from sparsepix import datasets

    return datasets.load(options.preset, options.data, options.events, options.seed, console=console)


@contextmanager
def _progress(
    options: "RunOptions", images: int, console: "Console"
) -> "Iterator[tuple[Callable[[int, History], None], Callable[[int, int], None]]]":
    """Bars of epochs and steps on a terminal, a line an epoch elsewhere."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = [TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn()]
    columns += [TimeElapsedColumn(), TimeRemainingColumn()]

    def line(epoch: int, history: "History") -> str:
        return (
            f"epoch {epoch + 1}/{options.epochs}: loss {history.train_loss[-1]:.4f}, "
            f"validation {history.validation_loss[-1]:.4f}, {history.validation_accuracy[-1]:.2%} "
            f"(best: epoch {history.best_epoch + 1}), {images / history.seconds[-1]:,.0f} images/s"
        )

    if not console.is_terminal:
        yield lambda epoch, history: console.print(line(epoch, history), soft_wrap=True), lambda step, steps: None
        return
    with Progress(*columns, console=console) as progress:
        epochs = progress.add_task("epochs", total=options.epochs)
        steps = progress.add_task("steps", total=None)

        def on_epoch(epoch: int, history: "History") -> None:
            progress.update(epochs, completed=epoch + 1)
            progress.console.print(line(epoch, history))

        yield on_epoch, lambda step, total: progress.update(steps, completed=step, total=total)


def _show(summary: "Summary", data: "Dataset", folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from sparsepix_ops.system.files import shell_word

    # A Text: in a string, a part of the path in square brackets would be a style.
    title = Text(f"{folder}: the weights of epoch {summary.best_epoch} of {summary.epochs}", style="table.title")
    table = Table(title=title, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("test accuracy", f"{summary.test_accuracy:.2%}")
    if summary.test_auc is not None:
        mean = "" if len(data.classes) == 2 else ", mean of one class against the rest"
        table.add_row(f"test AUC{mean}", f"{summary.test_auc:.4f}")
    table.add_row("test loss", f"{summary.test_loss:.4f}")
    table.add_row("test images", f"{summary.test_events:,}")
    table.add_row("weights and biases", f"{summary.parameters:,}")
    table.add_row("training", f"{summary.seconds:.1f} s")
    if summary.firmware is not None:
        found = summary.firmware
        table.add_row("firmware, estimated: latency", f"{found.latency_cycles} cycles")
        table.add_row("firmware, estimated: LUT", f"{found.lut:,}")
        table.add_row("firmware, estimated: DSP", f"{found.dsp:,}")
    console = Console(highlight=False)
    console.print(table)
    print(f"{folder}: model.pt, history.csv, summary.json and pictures")
    print(f"next: sparsepix-export {shell_word(folder / 'model.pt')}")


if __name__ == "__main__":
    raise SystemExit(main())
