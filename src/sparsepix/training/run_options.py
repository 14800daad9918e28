"""What decides the result of a training, checked before anything starts; loads no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sparsepix.util.numbers_given import checked_real, checked_whole, shown
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.whole import real_number, whole_number

Monitor = Literal["accuracy", "loss"]
Schedule = Literal["one-cycle", "constant"]

PRESETS = ("neutrino", "jet", "mnist", "digits", "muon")
PENALTIES = ("budget", "masked_intensity", "ebops")
LEARNED = ("max_pixels", "threshold", "bits")
# Each wish has to hold one of these.
_CHOICES = {"schedule": ("one-cycle", "constant"), "monitor": ("accuracy", "loss")}
_LARGEST_SEED = 2**32 - 1  # of numpy and scikit-learn


@dataclass(frozen=True)
class RunOptions:
    """What decides the result of a run.

    Args:
        preset: of ``sparsepix.models``.
        data: files of the preset's data set, or 'synthetic' (see ``sparsepix.datasets.load``); empty: its default.
        events: how many synthetic events; None: the default.
        max_pixels: N, the slots of the list of active pixels.
        bits: width of weights and activations; None: float.
        selection: 'raster' or 'magnitude' (see ``SparseInputReduce``).
        learn: what the model learns besides weights: 'max_pixels', 'threshold', 'bits'.
        channels: out_channels of each convolution; empty: the preset's.
        epochs: how many at most.
        batch_size: images a step, of all processes together.
        learning_rate: its largest value.
        schedule: see ``fit``.
        label_smoothing: see ``loss_of``.
        augment: pixels by which half of the training images are shifted; 0: none.
        penalties: weight of each penalty (see ``fit``).
        monitor: 'loss' or 'accuracy' of the validation images, which decides the best epoch (see ``History``).
        patience: epochs without a better one until training stops; None: never.
        seed: of data, weights and training, 0 ... 2**32 - 1.

    Raises:
        SparsePixError: lists everything that is out of range or unknown.
    """

    preset: str
    data: tuple[str, ...] = ()
    events: int | None = None
    max_pixels: int = 20
    bits: int | None = 8
    selection: str = "raster"
    learn: tuple[str, ...] = ()
    channels: tuple[int, ...] = ()
    epochs: int = 50
    batch_size: int = 128
    learning_rate: float = 2e-3
    schedule: Schedule = "one-cycle"
    label_smoothing: float = 0.0
    augment: int = 0
    penalties: Mapping[str, float] = field(default_factory=dict)
    monitor: Monitor = "loss"
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        problems: list[str] = []
        for name, choices in (("preset", PRESETS), ("selection", ("raster", "magnitude"))):
            _choice(name, getattr(self, name), choices, problems)
        changed: dict[str, Any] = {"data": tuple(str(part) for part in _several("data", self.data, problems))}
        changed["max_pixels"] = checked_whole("max_pixels", self.max_pixels, problems, 1)
        changed["augment"] = checked_whole("augment", self.augment, problems, 0, 1 << 16)
        if self.events is not None:
            changed["events"] = checked_whole("events", self.events, problems, 10)
        if self.bits is not None:
            if (bits := whole_number(self.bits)) is None or not (2 <= bits <= 8 or bits == 16):
                problems.append(f"bits must be 2 ... 8, 16 or float, found {shown(self.bits)}")
            changed["bits"] = bits
        changed["learn"] = _several("learn", self.learn, problems)
        for name in changed["learn"]:
            _choice("learn", name, LEARNED, problems)
        channels = _several("channels", self.channels, problems)
        changed["channels"] = tuple(checked_whole("channels", count, problems, 1) for count in channels)
        changed["seed"] = checked_whole("seed", self.seed, problems, 0, _LARGEST_SEED)
        fit = {name: getattr(self, name) for name in FIT_OPTIONS if name != "seed"}
        changed |= checked_fit_options(fit, problems)
        if problems:
            raise SparsePixError(problems, "the options of the training")
        for name, value in changed.items():
            object.__setattr__(self, name, value)


FIT_OPTIONS = (
    "epochs",
    "batch_size",
    "learning_rate",
    "seed",
    "label_smoothing",
    "schedule",
    "penalties",
    "monitor",
    "patience",
)


def checked_fit_options(given: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """The options of ``fit`` as plain numbers and text.

    Args:
        given: some of ``FIT_OPTIONS``.
        problems: gets a message for each that is out of range or unknown.
    """
    found = dict(given)
    for name in ("epochs", "batch_size"):
        found[name] = checked_whole(name, found[name], problems, 1)
    if "seed" in found:
        found["seed"] = checked_whole("seed", found["seed"], problems, -(2**63), 2**64 - 1)
    found["learning_rate"] = checked_real("learning_rate", found["learning_rate"], problems, 0)
    found["label_smoothing"] = checked_real("label_smoothing", found["label_smoothing"], problems, 0, 1)
    if found["patience"] is not None:
        found["patience"] = checked_whole("patience", found["patience"], problems, 1)
    for name, choices in _CHOICES.items():
        _choice(name, found[name], choices, problems)
    penalties = found["penalties"]
    if not isinstance(penalties, Mapping):
        problems.append(f"penalties: expected a weight by name, found {shown(penalties)}")
        return found
    for name, weight in penalties.items():
        _choice("penalties", name, PENALTIES, problems)
        if (number := real_number(weight)) is None or number < 0:
            problems.append(f"penalties: {name}: expected a weight of at least 0, found {shown(weight)}")
    found["penalties"] = {name: real_number(weight) for name, weight in penalties.items()}
    return found


def _choice(name: str, value: Any, choices: Sequence[str], problems: list[str]) -> None:
    if not isinstance(value, str) or value not in choices:
        problems.append(f"{name}: expected one of {', '.join(choices)}, found {shown(value)}")


def _several(name: str, value: Any, problems: list[str]) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        problems.append(f"{name}: expected several in a tuple, found {shown(value)}")
        return ()
    return tuple(value)
