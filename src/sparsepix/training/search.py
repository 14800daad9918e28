"""A search for presets that are accurate and small: many short trainings, chosen by optuna."""

import csv
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sparsepix.cost.firmware_estimate import firmware_estimate, require_translator
from sparsepix.datasets import Dataset
from sparsepix.models.saving import save
from sparsepix.training.batches import fingerprint
from sparsepix.training.checkpoint import require_same_settings
from sparsepix.training.evaluation import predict
from sparsepix.training.loop import fit
from sparsepix.training.run_options import RunOptions
from sparsepix.training.runs import area_under_roc, build_model, fit_arguments
from sparsepix.training.search_space import SINGLE, SPACE, Metric, Space
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.files import atomic_write, claimed_folder
from sparsepix_ops.system.progress import step
from sparsepix_ops.system.tools import needed_for

with needed_for("sparsepix.training.search"):
    import optuna
    from optuna.trial import FrozenTrial, TrialState

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console
    from rich.table import Table

_WORTH_KEEPING = (TrialState.COMPLETE, TrialState.RUNNING)
_STORED = ("latency_cycles", "interval_cycles", "lut", "ff", "dsp")


@dataclass(frozen=True)
class Found:
    """What a search has found so far, trials of other machines included.

    Args:
        trials: all that have ended, by number.
        front: numbers of the trials that no other one beats in all of accuracy, latency and LUTs.
    """

    trials: tuple[FrozenTrial, ...]
    front: tuple[int, ...]


def search(
    options: RunOptions,
    data: Dataset,
    folder: Path,
    trials: int,
    device: torch.device,
    *,
    space: Space = SPACE,
    metric: Metric = "accuracy",
    storage: str | None = None,
    console: "Console | None" = None,
) -> Found:
    """Try models: more accurate on the validation images, with a lower estimated latency, with fewer estimated LUTs.

    A failed trial is recorded with its reason, and the search goes on. The folder then holds ``trials.csv``,
    ``pareto.png`` and, in ``models/``, the model of each trial of the Pareto front. Called again, it goes on with the
    same study.

    Args:
        options: of each trial, but for what the space chooses.
        data: on what to train.
        folder: to make or go on with; its name is that of the study.
        trials: how many more.
        device: where to train.
        space: values to choose from, by the names in ``SPACE``.
        metric: what accuracy means here.
        storage: optuna storage URL, which several machines may share; None: SQLite, ``search.db`` in the folder.
        console: where progress is shown; nowhere if None.

    Raises:
        SparsePixError: the translator is not installed; the study is of other options; the storage cannot be opened;
            all trials have failed.
    """
    require_translator()
    _check_models(options, data, space)
    with claimed_folder(folder, "search", older=("trials.csv", "trial,state,")):
        study = _open_study(options, data, folder, space, metric, storage)
    (folder / "models").mkdir(exist_ok=True)

    def objective(trial: optuna.Trial) -> tuple[float, float, float]:
        try:
            return _try(trial, options, data, folder, device, space, metric)
        except Exception as error:
            trial.set_user_attr("reason", f"{type(error).__name__}: {error}")
            raise

    # One call of optimize for each trial, to write what was found so far: the sampler's state is in the storage alone.
    with step(console, "trying models", f"{trials} models tried", total=trials, unit="models", even=True) as now:
        for _ in range(trials):
            study.optimize(objective, n_trials=1, catch=(Exception,))
            found = _write(study, folder, metric)
            now.advance()
            if console is not None:
                console.print(_line(found.trials[-1], metric), markup=False, soft_wrap=True)
    if not found.front:
        raise SparsePixError(f"{folder}: every trial has failed; the last: {_line(found.trials[-1], metric)}")
    return found


def _check_models(options: RunOptions, data: Dataset, space: Space) -> None:
    """Refuse what no trial could begin with, before the study is written.

    Raises:
        SparsePixError: the options do not make a model for the data, with each value of the space.
    """
    for name in SINGLE:
        for value in space[name]:
            chosen = {other: space[other][0] for other in SINGLE} | {name: value}
            shape = build_model(replace(options, channels=(), **chosen)).input_shape
    if shape != data.train.images.shape[1:]:
        raise SparsePixError(
            f"{options.preset}: expected images {shape}, the data set {data.name} has {data.train.images.shape[1:]}"
        )


def _open_study(
    options: RunOptions, data: Dataset, folder: Path, space: Space, metric: Metric, storage: str | None
) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    # A signal within a query makes it log what it could not close.
    logging.getLogger("sqlalchemy").setLevel(logging.CRITICAL)
    fixed = {name: value for name, value in asdict(options).items() if name not in space}
    wanted = json.loads(
        json.dumps(
            fixed
            | {
                "metric": metric,
                "space": {name: list(space[name]) for name in SPACE},
                "images and labels": fingerprint(data.train.images, data.train.labels),
            }
        )
    )
    url = storage or f"sqlite:///{(folder / 'search.db').resolve()}"
    try:
        study = optuna.create_study(
            storage=url,
            study_name=folder.resolve().name,
            directions=["maximize", "minimize", "minimize"],
            load_if_exists=True,
        )
    except Exception as error:  # each database driver has its own
        raise SparsePixError(f"--storage {url}: {str(error).splitlines()[0]}") from None
    if study.user_attrs.get("options") and not study.get_trials(deepcopy=False, states=_WORTH_KEEPING):
        # No trial succeeded: the study may begin again with other options.
        if study.user_attrs["options"] != wanted:
            optuna.delete_study(study_name=study.study_name, storage=url)
            return _open_study(options, data, folder, space, metric, storage)
    elif study.user_attrs.get("options"):
        require_same_settings(study.user_attrs["options"], wanted, f"the study {study.study_name} in {url}")
    study.set_user_attr("options", wanted)
    # Not the same random trials again when a study goes on.
    seed = (options.seed + len(study.trials)) % 2**32
    study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
    return study


def _try(
    trial: optuna.Trial,
    options: RunOptions,
    data: Dataset,
    folder: Path,
    device: torch.device,
    space: Space,
    metric: Metric,
) -> tuple[float, float, float]:
    """Train one model; its validation accuracy (or AUC), latency in cycles, and LUTs."""
    chosen = {name: trial.suggest_categorical(name, list(space[name])) for name in SINGLE}
    convs = sum(layer.kind == "conv" for layer in build_model(replace(options, channels=())).architecture.layers)
    channels = [trial.suggest_categorical(f"channels{i + 1}", list(space["channels"])) for i in range(convs)]
    options = replace(options, channels=tuple(channels), **chosen)
    for other in trial.study.get_trials(states=(TrialState.COMPLETE,)):
        if other.params == trial.params:
            for name, value in {**other.user_attrs, "same_as": other.number}.items():
                trial.set_user_attr(name, value)
            return tuple(other.values)
    begun = time.monotonic()
    model = build_model(options).to(device)
    history = fit(model, data, **fit_arguments(options))
    reached = history.validation_accuracy[history.best_epoch]
    if metric == "auc":
        reached = area_under_roc(predict(model, data.validation.images), data.validation.labels)
        if reached is None:
            raise SparsePixError("the validation images are all of one class, which has no AUC")
    # The weights decide the constants of the firmware, and learned budgets its size.
    firmware = firmware_estimate(model.cpu())
    for name in _STORED:
        trial.set_user_attr(name, getattr(firmware, name))
    trial.set_user_attr("seconds", time.monotonic() - begun)
    save(model, _model_file(folder, trial.number))
    return reached, float(firmware.latency_cycles), float(firmware.lut)


def _model_file(folder: Path, number: int) -> Path:
    return folder / "models" / f"trial_{number:04}.pt"


def _write(study: optuna.Study, folder: Path, metric: Metric) -> Found:
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL))
    front = pareto_front([trial for trial in ended if trial.state == TrialState.COMPLETE])
    found = Found(tuple(sorted(ended, key=lambda trial: trial.number)), front)
    with atomic_write(folder / "trials.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        _write_trials(csv.writer(file), found, metric)
    if front:
        with atomic_write(folder / "pareto.png") as temporary:
            pareto(found, metric).savefig(temporary, format="png", dpi=150)
    for trial in found.trials:
        if trial.number not in front:
            _model_file(folder, trial.number).unlink(missing_ok=True)
    return found


def pareto_front(trials: Sequence[FrozenTrial]) -> tuple[int, ...]:
    """Numbers of the trials that no other one beats; of several with the same values the first."""

    def beats(one: FrozenTrial, other: FrozenTrial) -> bool:
        a, b = ((-values[0], *values[1:]) for values in (one.values, other.values))
        return all(x <= y for x, y in zip(a, b, strict=True)) and (a != b or one.number < other.number)

    return tuple(
        trial.number for trial in trials if not any(beats(other, trial) for other in trials if other is not trial)
    )


def _write_trials(writer: Any, found: Found, metric: Metric) -> None:
    names = list(dict.fromkeys(name for trial in found.trials for name in trial.params))
    writer.writerow(["trial", "state", *names, metric, *_STORED, "seconds", "front", "reason"])
    for trial in found.trials:
        attributes = trial.user_attrs
        writer.writerow(
            [trial.number, trial.state.name.lower()]
            + [trial.params.get(name, "") for name in names]
            + [trial.values[0] if trial.values else ""]
            + [attributes.get(name, "") for name in (*_STORED, "seconds")]
            + [int(trial.number in found.front), attributes.get("reason", "")]
        )


def _line(trial: FrozenTrial, metric: Metric) -> str:
    chosen = " ".join(f"{name}={value}" for name, value in trial.params.items())
    if trial.state != TrialState.COMPLETE:
        return f"trial {trial.number}: {chosen}: failed: {trial.user_attrs.get('reason', 'interrupted')}"
    reached, latency, lut = trial.values
    return f"trial {trial.number}: {chosen}: {metric} {reached:.4f}, {latency:.0f} cycles, {lut:,.0f} LUT"


def front_table(found: Found, metric: Metric) -> "Table":
    """The Pareto front, by latency, for ``rich.print``."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    failed = sum(trial.state != TrialState.COMPLETE for trial in found.trials)
    front = sorted((t for t in found.trials if t.number in found.front), key=lambda trial: tuple(trial.values[1:]))
    table = Table(
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title=f"Pareto front of {len(found.trials)} trials ({failed} failed); latency and LUT estimated",
    )
    table.add_column("trial", justify="right")
    for name in (*front[0].params, f"validation {metric}", "cycles", "LUT"):
        table.add_column(name, justify="right")
    for trial in front:
        reached, latency, lut = trial.values
        table.add_row(
            str(trial.number), *map(str, trial.params.values()), f"{reached:.4f}", f"{latency:.0f}", f"{lut:,.0f}"
        )
    return table


def pareto(found: Found, metric: Metric) -> "Figure":
    """Accuracy of all trials against estimated latency, and against estimated LUTs; the front is highlighted."""
    from matplotlib.figure import Figure

    done = [trial for trial in found.trials if trial.state == TrialState.COMPLETE]
    front = [trial for trial in done if trial.number in found.front]
    others = [trial for trial in done if trial.number not in found.front]
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    for axes, index, label in zip(
        figure.subplots(1, 2, sharey=True), (1, 2), ("latency (cycles), estimated", "LUT, estimated"), strict=True
    ):
        axes.scatter(
            [t.values[index] for t in others], [t.values[0] for t in others], s=16, color="0.7", label="beaten"
        )
        axes.scatter([t.values[index] for t in front], [t.values[0] for t in front], s=28, label="Pareto front")
        for trial in front:
            axes.annotate(
                str(trial.number),
                (trial.values[index], trial.values[0]),
                (3, 3),
                textcoords="offset points",
                fontsize=7,
            )
        axes.set(xlabel=label)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel(f"validation {metric}")
    figure.axes[0].legend(frameon=False, fontsize=8)
    return figure
