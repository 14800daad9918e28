"""A plain training loop, enough for the models here; a loop of your own can do all of it too.

In several processes (``torchrun``, see ``sparsepix.training.distributed``) the same call trains one model: each process
computes its part of every batch (and batch norms the statistics of that part).
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sparsepix.cost import penalty_terms
from sparsepix.datasets import Dataset, Split
from sparsepix.nn.batch_norm import freeze_statistics
from sparsepix.nn.sparse_input_reduce import SparseInputReduce
from sparsepix.quant.quantizers import unquantized
from sparsepix.training import distributed
from sparsepix.training.augmentation import Augment
from sparsepix.training.batches import ImageStore
from sparsepix.training.calibration import IMAGES, adapting, calibrate, float_problems
from sparsepix.training.checkpoint import Checkpoint, read_checkpoint, require_fitting
from sparsepix.training.data_checks import checked_split, memory_problems, model_problems
from sparsepix.training.evaluation import EVALUATED, decisions, loss_of
from sparsepix.training.option_checks import checked_fit_options
from sparsepix.training.run_options import Monitor, Schedule
from sparsepix.util.history import History
from sparsepix.util.modes import evaluating
from sparsepix.util.seeds import keyed_generator
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.files import output_file

# Steps between two looks at what may stop a training, where a look takes a message between the processes or waits for
# the GPU.
_LOOK = 32
_NOT_FINITE = "expected finite losses, found NaN or infinity"
_LOWER = "lower the learning rate, or look at what the augmentation and the model make of the images"


def fit(
    model: nn.Module,
    data: Dataset,
    epochs: int,
    learning_rate: float = 2e-2,
    batch_size: int = 64,
    seed: int = 0,
    augment: Augment | None = None,
    label_smoothing: float = 0.0,
    on_epoch: Callable[[int, History], None] | None = None,
    *,
    on_step: Callable[[int, int], None] | None = None,
    schedule: Schedule = "one-cycle",
    weight_decay: float = 1e-2,
    penalties: Mapping[str, float] | None = None,
    float_epochs: int | None = None,
    monitor: Monitor = "accuracy",
    patience: int | None = None,
    compiled: bool = False,
    checkpoint: str | Path | None = None,
    save_every: float = 60.0,
    on_save: Callable[[], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> History:
    """Train with AdamW, on the model's device; the model ends with the weights of its best epoch.

    A model with formats that adapt (``CalibratedFixedPoint``, ``LearnedFixedPoint``) is trained in float first. Then
    they are calibrated on its best weights (see ``calibrate``), and the other epochs go on with them from there; one of
    these is the best in the end. docs/results/training.md says what each part of this recipe is worth.

    With a checkpoint file an interrupted training goes on when it is called again with the same arguments, and ends
    with the same weights and history, bit for bit, as one that was never interrupted.

    Args:
        model: returns logits.
        data: trained on ``train``; ``validation`` decides which epoch is the best (see ``History.best_epoch``).
        epochs: how many at most.
        learning_rate: its largest value.
        batch_size: images a step, of all processes together.
        seed: of the order of the images, of the augmentation, and of what the model itself draws (dropout).
        augment: changes the images of a step, as ``random_shifts`` does; it draws from the generator that it gets.
        label_smoothing: see ``loss_of``; the losses in the history are without it.
        on_epoch: called after each epoch with its index and the history so far, for a progress bar.
        on_step: called after each step with the index of the next one and the number of steps of an epoch.
        schedule: 'one-cycle' (up for three tenths of the steps, then down to nearly 0) or 'constant'.
        weight_decay: of the weights (not of biases, batch norms, learned formats and selections), as AdamW does it.
        penalties: weight of each of ``sparsepix.penalties(model)`` that is added to the loss; 'ebops' not in the epochs
            in float.
        float_epochs: how many epochs in float come before the calibration, fewer than ``epochs``; None: half of them
            where formats adapt, else none.
        monitor: 'accuracy' or 'loss' of the validation images: which decides the best epoch (see ``History``).
        patience: stop after so many epochs without a better one; None: never.
        compiled: take the steps with ``torch.compile``.
        checkpoint: file to go on from, if it is there, and to write: after each epoch, after ``save_every``
            seconds within one, and when ``stop`` asks. All processes have to see the same file.
        save_every: seconds.
        on_save: called before each write of the checkpoint.
        stop: asked after each step (in several processes every 32, and after an epoch's last); on True the
            checkpoint is written and KeyboardInterrupt raised.

    Raises:
        SparsePixError: all arguments that are out of range, and all that is wrong with images and labels: numbers that
            differ, values that are not finite, images that the model does not take, labels that it has no output for;
            parameters that are views with gaps or shared places in memory;
            a loss that is not finite (the checkpoint stays as it was before); the checkpoint is of a training with
            other arguments, or damaged; a penalty that the model does not have.
        KeyboardInterrupt: ``stop`` asked for it.
    """
    problems: list[str] = []
    settings = checked_fit_options(
        {
            "epochs": epochs,
            "learning_rate": learning_rate,
            "batch_size": batch_size,
            "seed": seed,
            "label_smoothing": label_smoothing,
            "schedule": schedule,
            "weight_decay": weight_decay,
            "penalties": penalties or {},
            "float_epochs": float_epochs,
            "monitor": monitor,
            "patience": patience,
        },
        problems,
    )
    if isinstance(save_every, bool) or not isinstance(save_every, int | float) or not save_every >= 0:
        problems.append(f"save_every: expected a number of seconds, found {save_every!r}")
    splits = {name: checked_split(getattr(data, name), name, problems) for name in ("train", "validation")}
    adapts = bool(adapting(model))
    if not problems and float_epochs is None:
        settings["float_epochs"] = settings["epochs"] // 2 if adapts else 0
    problems = problems or [
        *float_problems(settings["float_epochs"], settings["epochs"], model),
        *model_problems(model, splits),
        *penalty_terms.missing(model, settings["penalties"]),
        *memory_problems(model),
    ]
    if problems:
        raise SparsePixError(problems, "fit")
    settings |= {"augmented": augment is not None, "training images": len(splits["train"])}
    path = Path(checkpoint) if checkpoint is not None else None
    if path is not None:
        output_file(path)  # refused now, not after a minute of training
    like = next(model.parameters())
    devices = [like.device] if like.device.type == "cuda" else []
    # The draws of the model come from torch's own generators, whose state belongs to the caller.
    with torch.random.fork_rng(devices):
        training = _Training(model, splits, settings, augment, compiled, path, on_save)
        while training.epoch < settings["epochs"] and not training.out_of_patience(settings["patience"]):
            training.run_epoch(on_step, stop, save_every)
            if on_epoch is not None:
                on_epoch(training.epoch - 1, training.history)
    model.load_state_dict(training.best)
    return training.history


class _Training:
    """A training between two epochs, or within one that was interrupted."""

    def __init__(
        self,
        model: nn.Module,
        splits: Mapping[str, Split],
        settings: dict[str, Any],
        augment: Augment | None,
        compiled: bool,
        path: Path | None,
        on_save: Callable[[], None] | None,
    ) -> None:
        like = next(model.parameters())
        penalties, self.on_save = settings["penalties"], on_save
        self.model, self.settings, self.augment, self.penalties, self.path = model, settings, augment, penalties, path
        self.device = like.device
        train, self.validation = splits["train"], splits["validation"]
        self.images, self.labels = ImageStore(train.images, like), torch.from_numpy(train.labels)
        self.calibration_images = train.images[:IMAGES]
        self.validation_images = ImageStore(self.validation.images, like)
        self.steps = -(-len(self.labels) // settings["batch_size"])
        self.optimizer = torch.optim.AdamW(_groups(model, settings), lr=settings["learning_rate"], fused=True)
        self.schedule = _schedule(self.optimizer, settings, self.steps)
        self.epoch, self.step, self.seconds = 0, 0, 0.0
        self.history = History(
            penalties={name: [] for name in penalties},
            float_epochs=settings["float_epochs"],
            monitor=settings["monitor"],
        )
        self.best: dict[str, Tensor] = {}
        # Images, task loss and penalties of the epoch's steps so far.
        self.sums = torch.zeros(2 + len(penalties), dtype=torch.float64, device=self.device)
        if path is not None:
            self._go_on_from(path)
        self.compiled = compiled
        self.step_model = self._wrapped()

    def out_of_patience(self, patience: int | None) -> bool:
        """Whether the best epoch lies ``patience`` epochs back."""
        if patience is None or self.epoch <= self.settings["float_epochs"]:
            return False
        return self.epoch - 1 - self.history.best_epoch >= patience

    def in_float(self) -> bool:
        return self.epoch < self.settings["float_epochs"]

    def run_epoch(
        self, on_step: Callable[[int, int], None] | None, stop: Callable[[], bool] | None, save_every: float
    ) -> None:
        """The rest of the epoch, its validation, and the checkpoint after it."""
        if self.epoch == self.settings["float_epochs"] and self.step == 0:
            self._calibrate()
        with unquantized(self.model) if self.in_float() else contextlib.nullcontext():
            self._run_epoch(on_step, stop, save_every)
        self._save()

    def _calibrate(self) -> None:
        """Go on from the best weights so far, which are in float, and set the formats that adapt."""
        if self.best:
            self.model.load_state_dict(self.best)
        if adapting(self.model):
            calibrate(self.model, self.calibration_images)
        # Anew: other parameters get gradients now, and all processes go on with the formats of process 0.
        self.step_model = self._wrapped()

    def _wrapped(self) -> nn.Module:
        model = torch.compile(self.model) if self.compiled else self.model
        return distributed.averaged(model, self.device)

    def _run_epoch(
        self, on_step: Callable[[int, int], None] | None, stop: Callable[[], bool] | None, save_every: float
    ) -> None:
        self.model.train()
        if self.settings["float_epochs"] and not self.in_float():
            freeze_statistics(self.model)
        order = torch.randperm(len(self.labels), generator=keyed_generator(self.settings["seed"], self.epoch))
        batches = order.split(self.settings["batch_size"])
        saved = time.monotonic()
        begun = saved - self.seconds
        while self.step < self.steps:
            self._take_step(batches[self.step])
            self.step += 1
            if on_step is not None:
                on_step(self.step, self.steps)
            if distributed.world_size() > 1 and self.step % _LOOK and self.step < self.steps:
                continue
            now = time.monotonic()
            asked = stop is not None and stop()
            asked, due = distributed.any_of([asked, now - saved >= save_every], self.device)
            if asked or due:
                self.seconds, saved = now - begun, now
                self._save()
            elif self.step % _LOOK == 0:
                self._finite_sums()
            if asked:
                raise KeyboardInterrupt
        self._end_epoch(begun)

    def _take_step(self, batch: Tensor) -> None:
        rank, processes = distributed.rank(), distributed.world_size()
        part = batch[rank::processes]
        # The last batch may have fewer images than there are processes: one with none computes an image for nothing.
        weight = len(part) / len(batch)
        part = part if len(part) else batch[:1]
        generator = keyed_generator(self.settings["seed"], self.epoch, self.step, rank)
        torch.manual_seed(generator.initial_seed())
        images = self.images[part]
        if self.augment is not None:
            images = self.augment(images, generator)
        target = self.labels[part].to(self.device)
        self.optimizer.zero_grad()
        output = self.step_model(images)
        smoothing = self.settings["label_smoothing"]
        loss = task_loss = loss_of(output, target, smoothing)
        if smoothing:
            with torch.no_grad():
                task_loss = loss_of(output, target)
        added = penalty_terms.weighted(self.model, self.penalties, {"ebops"} if self.in_float() else set())
        for value in added:
            loss = loss + value
        # The mean over the processes of this is the loss of the whole batch.
        (loss * (weight * processes) if processes > 1 else loss).backward()
        self.optimizer.step()
        self.schedule.step()
        terms = torch.stack([torch.ones_like(task_loss), *(term.detach() for term in (task_loss, *added))])
        self.sums += terms.to(self.sums) * (weight * len(batch))

    def _end_epoch(self, begun: float) -> None:
        images, *losses = self._finite_sums()
        history = self.history
        history.train_loss.append(losses[0] / images)
        for values, loss in zip(history.penalties.values(), losses[1:], strict=True):
            values.append(loss / images)
        if self.penalties.get("ebops"):
            history.ebops.append(history.penalties["ebops"][-1] / self.penalties["ebops"])
        self._validate()
        for module in self.model.modules():
            if isinstance(module, SparseInputReduce):
                history.budget.append(float(module.max_pixels))
                history.threshold.append(float(module.threshold))
                break
        history.learning_rate.append(float(self.optimizer.param_groups[0]["lr"]))
        history.seconds.append(time.monotonic() - begun)
        if history.best_epoch == self.epoch:
            self.best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0
        self.sums.zero_()

    @torch.no_grad()
    def _validate(self) -> None:
        labels = torch.from_numpy(self.validation.labels)
        mine = torch.arange(distributed.rank(), len(labels), distributed.world_size())
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        with evaluating(self.model):
            for part in mine.split(EVALUATED):
                output = self.model(self.validation_images[part])
                loss = loss_of(output, labels[part].to(self.device))
                right = (decisions(output.cpu().numpy()) == labels[part].numpy()).sum()
                sums += torch.stack([loss.double() * len(part), loss.new_tensor(float(right)).double()])
        loss, right = (distributed.total(sums) / len(labels)).tolist()
        if not np.isfinite(loss):
            raise SparsePixError(f"fit: {_NOT_FINITE} in the validation of epoch {self.epoch + 1}; {_LOWER}")
        self.history.validation_loss.append(loss)
        self.history.validation_accuracy.append(right)

    def _finite_sums(self) -> list[float]:
        """The sums of all processes."""
        sums = distributed.total(self.sums).tolist()
        if not np.isfinite(sums).all():
            names = ["images", "task loss", *self.penalties]
            found = ", ".join(name for name, value in zip(names, sums, strict=True) if not np.isfinite(value))
            steps = f"by step {self.step} of {self.steps}"
            raise SparsePixError(f"fit: {_NOT_FINITE} in epoch {self.epoch + 1} ({found}), {steps}; {_LOWER}")
        return sums

    def _save(self) -> None:
        sums = torch.tensor(self._finite_sums(), dtype=torch.float64)
        if self.path is None or distributed.rank():
            return
        if self.on_save is not None:
            self.on_save()
        self._state(sums).write(self.path)

    def _state(self, sums: Tensor) -> Checkpoint:
        return Checkpoint(
            self.settings,
            self.epoch,
            self.step,
            self.seconds,
            sums,
            self.history,
            self.best,
            self.model.state_dict(),
            self.optimizer.state_dict(),
            self.schedule.state_dict(),
        )

    def _go_on_from(self, path: Path) -> None:
        distributed.barrier()  # process 0 may still be writing the checkpoint of a stop
        found = read_checkpoint(path, self.settings) if path.exists() else None
        distributed.require_same(
            [found.epoch, found.step] if found else [0, 0],
            f"{path}: the processes see different checkpoints; put it on a file system that all machines share",
            self.device,
        )
        if found is None:
            return
        trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        require_fitting(found, self._state(self.sums), trained, self.steps, str(path))
        self.model.load_state_dict(found.model)
        self.optimizer.load_state_dict(found.optimizer)
        # Fused Adam on a CPU looks at no strides: the state has to lie in memory as the parameter does, whatever memory
        # format the model had when the file was written.
        for parameter, state in self.optimizer.state.items():
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = torch.empty_like(parameter).copy_(state[name].detach())
        self.schedule.load_state_dict(found.schedule)
        self.epoch, self.step, self.seconds = found.epoch, found.step, found.seconds
        self.history, self.best = found.history, found.best
        if distributed.rank() == 0:
            self.sums.copy_(found.sums)


def _groups(model: nn.Module, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What decays and what does not, as the optimizer takes it."""
    decays = {True: settings["weight_decay"], False: 0.0}
    return [
        {"params": [p for p in model.parameters() if (p.dim() > 1) == matrix], "weight_decay": decay}
        for matrix, decay in decays.items()
    ]


def _schedule(
    optimizer: torch.optim.Optimizer, settings: Mapping[str, Any], steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if settings["schedule"] == "one-cycle":
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, settings["learning_rate"], total_steps=settings["epochs"] * steps
        )
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
