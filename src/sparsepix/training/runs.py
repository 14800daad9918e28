"""A training in a folder: its options, its progress, its results; what ``sparsepix-train`` does.

The folder holds ``options.json``, ``checkpoint.pt`` and ``history.csv`` from the first checkpoint on, and at the end
``model.pt``, ``summary.json`` and pictures.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sparsepix import models
from sparsepix.datasets import Dataset
from sparsepix.models.architecture import Architecture, Layer
from sparsepix.models.saving import save
from sparsepix.models.sparse_cnn import SparseCNN
from sparsepix.training import distributed
from sparsepix.training.augmentation import random_shifts
from sparsepix.training.evaluation import accuracy, decisions, loss_of, predict
from sparsepix.training.loop import fit
from sparsepix.training.run_folder import run_folder, write_json
from sparsepix.training.run_options import FIT_OPTIONS, RunOptions
from sparsepix.util.history import History
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.files import atomic_write
from sparsepix_ops.system.signals import Interrupted, heard, importing, on_the_way
from sparsepix_ops.system.tools import needed_for

if TYPE_CHECKING:
    from sparsepix.cost.firmware_estimate import FirmwareEstimate


@dataclass(frozen=True)
class Summary:
    """Results of a run, of the weights of its best epoch.

    Args:
        test_accuracy: fraction of right decisions.
        test_auc: area under the ROC curve; of several classes the mean of one against the rest; None if the test
            images are all of one class.
        test_loss: mean task loss.
        test_events: how many.
        validation_accuracy: in the best epoch.
        best_epoch: counted from 1.
        epochs: that were trained.
        parameters: weights and biases.
        seconds: of training.
        firmware: the estimate, if one was asked for.
    """

    test_accuracy: float
    test_auc: float | None
    test_loss: float
    test_events: int
    validation_accuracy: float
    best_epoch: int
    epochs: int
    parameters: int
    seconds: float
    firmware: "FirmwareEstimate | None" = None


def build_model(options: RunOptions) -> SparseCNN:
    """The untrained model; its weights follow from the seed.

    Raises:
        SparsePixError: the options do not make a model.
    """
    preset = getattr(models, options.preset)
    learned = {f"learn_{name}": True for name in options.learn}
    same = ("selection", "formats", "batch_norm", "bits_per")
    given = {name: getattr(options, name) for name in same} | learned
    architecture = preset(options.max_pixels, options.bits, **given).architecture
    if options.channels:
        architecture = replace(architecture, layers=_with_channels(architecture, options.channels))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        return SparseCNN(architecture)


def fit_arguments(options: RunOptions) -> dict[str, Any]:
    """What the options say of ``fit``, as its keyword arguments."""
    augment = random_shifts(options.augment) if options.augment else None
    return {name: getattr(options, name) for name in FIT_OPTIONS} | {"augment": augment}


def _with_channels(architecture: Architecture, channels: tuple[int, ...]) -> tuple[Layer, ...]:
    convs = [i for i, layer in enumerate(architecture.layers) if layer.kind == "conv"]
    if len(channels) != len(convs):
        raise SparsePixError(
            f"{architecture.name}: expected {len(convs)} numbers of channels, one for each convolution, "
            f"found {channels}"
        )
    layers = list(architecture.layers)
    for i, count in zip(convs, channels, strict=True):
        layers[i] = replace(layers[i], out_channels=count)
    return tuple(layers)


def evaluate(model: torch.nn.Module, data: Dataset, history: History) -> tuple[Summary, np.ndarray]:
    """The results on the test images, and the logits [E, outputs]."""
    output, labels = predict(model, data.test.images), data.test.labels
    return Summary(
        test_accuracy=accuracy(output, labels),
        test_auc=area_under_roc(output, labels),
        test_loss=float(loss_of(torch.from_numpy(output), torch.from_numpy(labels))),
        test_events=len(labels),
        validation_accuracy=history.validation_accuracy[history.best_epoch],
        best_epoch=history.best_epoch + 1,
        epochs=len(history.train_loss),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        seconds=sum(history.seconds),
    ), output


def area_under_roc(output: np.ndarray, labels: np.ndarray) -> float | None:
    """Area under the ROC curve of logits [E, classes]: the mean of each class against the rest; of [E, 1]: of class 1.

    None where no class can be told from others because all labels are the same.
    """
    with needed_for("the area under the ROC curve"):
        from sklearn.metrics import roc_auc_score

    if output.shape[1] == 1:
        return float(roc_auc_score(labels, output[:, 0])) if len(np.unique(labels)) > 1 else None
    # The rest is the sum of the other classes' probabilities, so that the score of a class is its own probability.
    probability = torch.from_numpy(output).double().softmax(1).numpy()
    areas = [
        roc_auc_score(labels == k, probability[:, k])
        for k in range(output.shape[1])
        if 0 < (labels == k).sum() < len(labels)
    ]
    return float(np.mean(areas)) if areas else None


@contextlib.contextmanager
def stop_on_signals(message: str = "") -> Iterator[Callable[[], bool]]:
    """Within the block Ctrl-C, SIGTERM and SIGHUP only ask to stop; a second Ctrl-C raises ``Interrupted`` at once.

    A process whose torchrun is gone is asked to stop too.

    Args:
        message: a line for standard error on the first signal; none if empty.

    Yields:
        Whether a signal came, as ``fit`` asks it.

    Raises:
        Interrupted: in place of the KeyboardInterrupt of ``fit``; knows the signal.
    """
    asked: list[int] = []
    alone, parent = distributed.world_size() == 1, os.getppid()

    def handle(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        # torchrun passes on a signal that the terminal has already sent.
        if len(asked) > 1 and number == signal.SIGINT and alone and not (on_the_way() or importing(frame)):
            raise Interrupted(number)
        if len(asked) == 1 and message:
            # Past every stream of Python: the signal may have come while one was written to, or half imported.
            # On a terminal the line of the progress ends here.
            with contextlib.suppress(OSError):
                os.write(2, ("\n" * os.isatty(2) + message + "\n").encode())

    def stop() -> bool:
        return bool(asked) or not (alone or os.getppid() == parent)

    before = {number: signal.signal(number, handle) for number in heard()}
    try:
        yield stop
    except KeyboardInterrupt as error:
        if asked and not isinstance(error, Interrupted):
            raise Interrupted(asked[0]) from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def train(
    options: RunOptions,
    data: Dataset,
    folder: Path,
    device: torch.device,
    *,
    force: bool = False,
    compiled: bool = False,
    estimate: bool = False,
    stop: Callable[[], bool] | None = None,
    on_epoch: Callable[[int, History], None] | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> Summary | None:
    """Train a preset in a folder, or go on with a training there, and write its results.

    Args:
        options: what to train.
        data: on what.
        folder: new, empty, or of a run with the same options and data.
        device: where.
        force: begin again in the folder of another run, whose files are removed with the first checkpoint.
        compiled: see ``fit``.
        estimate: also estimate latency and area of the firmware.
        stop: see ``fit``.
        on_epoch: see ``fit``.
        on_step: see ``fit``.

    Returns:
        The results; None in a process that is not the first.

    Raises:
        SparsePixError: as ``run_folder``, ``build_model`` and ``fit`` raise it.
        KeyboardInterrupt: ``stop`` asked for it; the same call goes on from there.
    """
    model = build_model(options).to(device)
    if model.input_shape != data.train.images.shape[1:]:
        raise SparsePixError(
            f"{options.preset}: expected images {model.input_shape}, the data set {data.name} has "
            f"{data.train.images.shape[1:]}"
        )
    first = distributed.rank() == 0
    with run_folder(folder, options, data, device, force) as begin:

        def after_epoch(epoch: int, history: History) -> None:
            if first:
                history.to_csv(folder / "history.csv")
            if on_epoch is not None:
                on_epoch(epoch, history)

        history = fit(
            model,
            data,
            **fit_arguments(options),
            on_epoch=after_epoch,
            on_step=on_step,
            compiled=compiled,
            checkpoint=folder / "checkpoint.pt",
            on_save=begin,
            stop=stop,
        )
        if not first:
            return None
        begin()
        save(model.cpu(), folder / "model.pt")
        history.to_csv(folder / "history.csv")
        summary, output = evaluate(model, data, history)
        if estimate:
            from sparsepix.cost.firmware_estimate import firmware_estimate

            summary = replace(summary, firmware=firmware_estimate(model))
        _draw(folder, history, data, output)
        write_json(folder / "summary.json", asdict(summary))
        return summary


def _draw(folder: Path, history: History, data: Dataset, output: np.ndarray) -> None:
    from sparsepix import plots

    figures = {
        "history.png": plots.training_history(history.columns()),
        "confusion.png": plots.confusion(data.test.labels, decisions(output), data.classes),
    }
    if output.shape[1] == 1 and len(np.unique(data.test.labels)) == 2:
        background, signal = data.classes
        figures["roc.png"] = plots.roc(data.test.labels, output, signal, background)
    for name, figure in figures.items():
        with atomic_write(folder / name) as temporary:
            figure.savefig(temporary, format="png", dpi=150)
