"""What decides the result of a training: the arguments of ``sparsepix-train`` and ``sparsepix.runs.RunOptions``.

Names, choices, limits, defaults and help are said here, once. Nothing heavy is imported: ``--help`` has to answer at
once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sparsepix.cost.penalty_names import PENALTIES
from sparsepix.models.preset_names import BITS_PER, FORMATS, SELECTIONS
from sparsepix.util.history import Monitor
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.options import option, options_of, with_help

Schedule = Literal["one-cycle", "constant"]

PRESETS = ("neutrino", "neutrino_large", "jet", "mnist", "digits", "muon")
LEARNED = ("max_pixels", "threshold", "bits")
_LARGEST_SEED = 2**32 - 1  # of numpy and scikit-learn


def _bits(text: str) -> int | None:
    return None if text == "float" else int(text)


def _penalty(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("=")
    try:
        return name, float(weight)
    except ValueError:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"expected NAME=WEIGHT, found {text!r}") from None


@with_help
@dataclass(frozen=True)
class RunOptions:
    """What decides the result of a run.

    The preset is of ``sparsepix.models``, the data as ``sparsepix.datasets.load`` takes them. ``bits`` None is float;
    the options of the group 'training' are those of ``fit``.

    Raises:
        SparsePixError: lists everything that is out of range or unknown.
    """

    preset: str = option(help="the model", choices=PRESETS, flags=())
    data: tuple[str, ...] = option(
        (),
        "files or folders of the preset's data set, or 'synthetic' (default: synthetic; digits: those of "
        "scikit-learn; mnist: none)",
        group="data",
        metavar="FILE",
    )
    events: int | None = option(None, "synthetic events to make (default: 20,000)", low=10, group="data", metavar="E")
    max_pixels: int = option(20, "slots for active pixels (default: %(default)s)", low=1, group="model", metavar="N")
    # None is float; 2 ... 16 are looked after by option_checks.
    bits: int | None = option(
        8, "width of weights and activations, or 'float' (default: %(default)s)", group="model", parse=_bits
    )
    formats: str = option(
        "calibrated",
        "binary points: from the data, after the epochs in float, or those of the SparsePixels paper "
        "(default: %(default)s)",
        choices=FORMATS,
        group="model",
    )
    selection: str = option(
        "raster",
        "keep the first or the largest N active pixels (default: %(default)s)",
        choices=SELECTIONS,
        group="model",
    )
    learn: tuple[str, ...] = option(
        (), "learn these too; with --penalty, or nothing makes them smaller", choices=LEARNED, group="model"
    )
    bits_per: str = option(
        "tensor",
        "with --learn bits: a width for each tensor, each channel (and element of a vector), or these and each weight "
        "(default: %(default)s)",
        choices=BITS_PER,
        group="model",
    )
    channels: tuple[int, ...] = option(
        (), "out_channels of each convolution (default: the preset's)", low=1, group="model", metavar="C"
    )
    batch_norm: bool = option(
        True,
        "normalize the outputs of the convolutions; folded into their weights, it costs nothing in firmware "
        "(default: on)",
        group="model",
    )
    epochs: int = option(50, "how many at most (default: %(default)s)", low=1, group="training")
    batch_size: int = option(
        128,
        "images a step, of all processes together (default: %(default)s)",
        low=1,
        group="training",
        metavar="B",
    )
    float_epochs: int | None = option(
        None,
        "how many of them in float, before the formats are calibrated (default: half of them with formats that adapt, "
        "else none; 0 calibrates the random start, where MNIST ends at 47 percent)",
        low=0,
        group="training",
        metavar="EPOCHS",
    )
    learning_rate: float = option(
        2e-2, "its largest value (default: %(default)s)", low=0, group="training", metavar="RATE"
    )
    schedule: Schedule = option("one-cycle", "of the rate (default: %(default)s)", group="training")
    weight_decay: float = option(
        1e-2,
        "of the weights, not of biases and what is learned besides (default: %(default)s)",
        low=0,
        high=10,
        group="training",
        metavar="D",
    )
    label_smoothing: float = option(
        0.0,
        "share of a label that is spread over all (default: %(default)s)",
        low=0,
        high=1,
        group="training",
        metavar="S",
    )
    augment: int = option(
        0,
        "shift half of the training images by so many pixels (default: %(default)s)",
        low=0,
        high=1 << 16,
        group="data",
        metavar="PIXELS",
    )
    penalties: Mapping[str, float] = option(
        {},
        f"add this penalty of the model to the loss: {', '.join(PENALTIES)}",
        flags=("--penalty",),
        group="training",
        metavar="NAME=WEIGHT",
        parse=_penalty,
        repeated=True,
    )
    monitor: Monitor = option(
        "loss", "of the validation images: decides the best epoch (default: %(default)s)", group="training"
    )
    patience: int | None = option(
        None,
        "stop after so many epochs without a better one (default: never)",
        low=1,
        group="training",
        metavar="EPOCHS",
    )
    seed: int = option(
        0, "of data, weights and training (default: %(default)s)", low=0, high=_LARGEST_SEED, group="training"
    )

    def __post_init__(self) -> None:
        from sparsepix.training.option_checks import checked_options

        problems: list[str] = []
        given = {one.name: getattr(self, one.name) for one in options_of(RunOptions)}
        found = checked_options(given, problems)
        if problems:
            raise SparsePixError(problems, "the options of the training")
        for name, value in found.items():
            object.__setattr__(self, name, value)


# What ``fit`` takes, too.
FIT_OPTIONS = tuple(one.name for one in options_of(RunOptions) if one.group == "training")
