"""The command ``sparsepix-train``: train a preset on a data set, or search for a good one."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsepix.cli.train_arguments import Train, parse
from sparsepix.training.run_options import RunOptions
from sparsepix_ops.system import command
from sparsepix_ops.system.command import EXIT_ERROR, EXIT_OK

# Nothing heavy up here: --help has to answer at once.
if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from sparsepix.datasets import Dataset
    from sparsepix.training.runs import Summary
    from sparsepix.util.history import History


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        Its exit status: 0, 2 for wrong input, 128 and its number after a signal.
    """
    parsed: list[Train] = []

    def body() -> int:
        parsed.append(parse(argv))
        return _main(parsed[0])

    return command.run(
        body,
        leaving=argv is None,
        interrupted=lambda what: _after_interruption(what, parsed[0] if parsed else None),
    )


def _main(arguments: Train) -> int:
    from rich.console import Console

    from sparsepix_ops.errors import SparsePixError
    from sparsepix_ops.system.progress import step
    from sparsepix_ops.system.tools import require

    console = Console(stderr=True, highlight=False)
    options = RunOptions(**arguments.run)  # reports what is wrong with them before torch is loaded
    search = ("optuna",) if arguments.search else ()
    require("sparsepix-train", "torch", "brevitas", "sklearn", "matplotlib", *search)  # some only at its end
    with step(console, "loading torch", "torch loaded"):
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


def _after_interruption(what: str, arguments: Train | None) -> str:
    """The console to print on; of several processes only the first prints."""
    if int(os.environ.get("RANK", 0)):
        return ""
    if arguments is None:
        return f"error: {what}"
    if arguments.search:
        kept = "keeps its trials and tries more"
    elif (arguments.output / "checkpoint.pt").exists():
        kept = "goes on from there"
    else:
        kept = "begins anew: no step was kept"
    return f"{arguments.output}: {what}; the same command {kept}"


def _run(arguments: Train, options: RunOptions, device: Any, console: "Console") -> int:
    import torch

    from sparsepix.training import runs

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.search:
        return _search(arguments, options, device, console)
    runs.build_model(options)  # reports what it refuses before data are read, which may take minutes
    data = load_data(options, console)
    goes_on = not arguments.force and (arguments.output / "checkpoint.pt").exists()
    with (
        runs.stop_on_signals("" if console.quiet else "stopping after this step; Ctrl-C again stops at once") as stop,
        _progress(options, len(data.train), goes_on, console) as (on_epoch, on_step),
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


def _search(arguments: Train, options: RunOptions, device: Any, console: "Console") -> int:
    from rich.console import Console

    from sparsepix.training import distributed
    from sparsepix.training.search import front_table, search
    from sparsepix.training.search_space import SINGLE, parse_space
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
    fixed = [(name, [str(getattr(options, name))]) for name in SINGLE if name in arguments.run]
    space = parse_space([*fixed, *arguments.space])
    if "channels" in arguments.run:
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


def load_data(options: RunOptions, console: "Console | None" = None) -> "Dataset":
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
    options: RunOptions, images: int, goes_on: bool, console: "Console"
) -> "Iterator[tuple[Callable[[int, History], None], Callable[[int, int], None]]]":
    """A line an epoch, and on a terminal one that moves with the steps."""
    from sparsepix_ops.system.progress import step

    with step(console, "training", "trained", unit="epochs", even=True) as now:
        # Where a run goes on that was interrupted is known after its first epoch.
        epochs, last = options.epochs, None if goes_on else 0

        def on_epoch(epoch: int, history: "History") -> None:
            nonlocal last
            last = epoch + 1
            console.print(
                f"epoch {last}/{epochs}: loss {history.train_loss[-1]:.4f}, "
                f"validation {history.validation_loss[-1]:.4f}, {history.validation_accuracy[-1]:.2%} "
                f"(best: epoch {history.best_epoch + 1}), {images / history.seconds[-1]:,.0f} images/s",
                soft_wrap=True,
            )
            now.tell("validated" if last < epochs else "testing and drawing", last, epochs)

        def on_step(number: int, steps: int) -> None:
            text = f"step {number:,} of {steps:,}"
            if last is None:
                now.tell(text)
            else:
                now.tell(text, last + number / steps, epochs)

        yield on_epoch, on_step


def _show(summary: "Summary", data: "Dataset", folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from sparsepix_ops.system.files import shell_word

    # A Text: in a string, a part of the path in square brackets would be taken for a style.
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
