"""A plain training loop: enough for the models here, and nothing that a loop of your own could not do."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsepix.datasets import Dataset, Split
from sparsepix.modes import evaluating
from sparsepix_ops.errors import SparsePixError


@dataclass
class History:
    """What happened in each epoch, one entry an epoch. Training losses are of the images that the steps saw."""

    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """Index of the epoch with the highest validation accuracy, of several the one with the lowest loss."""
        # A small validation set has few accuracies, so that ties are common.
        ranked = zip(self.validation_accuracy, (-loss for loss in self.validation_loss), strict=True)
        return max(enumerate(ranked), key=lambda epoch: epoch[1])[0]


Augment = Callable[[Tensor, torch.Generator], Tensor]


def loss_of(output: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross entropy of logits: [B, classes] against class numbers [B], or [B, 1] against 0 and 1.

    Args:
        output: the logits.
        labels: the true classes.
        label_smoothing: the share of each target that is spread evenly over all classes.
    """
    if output.shape[1] == 1:
        target = labels.to(output.dtype) * (1 - label_smoothing) + label_smoothing / 2
        return F.binary_cross_entropy_with_logits(output[:, 0], target)
    return F.cross_entropy(output, labels, label_smoothing=label_smoothing)


def random_shifts(step: int, probability: float = 0.5) -> Augment:
    """An augmentation for ``fit``: moves images [B, C, H, W]; what leaves an image is lost, zeros come in.

    Args:
        step: a moved image goes by -step, 0 or step rows, and as many columns, each with a third of the chance.
        probability: with which an image is moved at all.
    """

    def shift(images: Tensor, generator: torch.Generator) -> Tensor:
        batch, _, height, width = images.shape
        by = torch.randint(-1, 2, (batch, 2), generator=generator) * step
        by *= torch.rand(batch, 1, generator=generator) < probability
        rows = torch.arange(height) + step - by[:, :1]
        columns = torch.arange(width) + step - by[:, 1:]
        padded = F.pad(images, (step, step, step, step))
        # Two index arrays around a slice put the channel axis last.
        return padded[torch.arange(batch)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    return shift


def decisions(output: np.ndarray) -> np.ndarray:
    """Class numbers [E] of logits: the largest of [E, classes], the sign of [E, 1]."""
    return (output[:, 0] > 0).astype(np.int64) if output.shape[1] == 1 else output.argmax(axis=1)


@torch.no_grad()
def predict(model: nn.Module, images: np.ndarray, batch_size: int = 512) -> np.ndarray:
    """Outputs of a model for images [E, C, H, W], in evaluation mode, on the model's device and in its dtype."""
    like = next(model.parameters())
    batches = np.array_split(images, max(1, -(-len(images) // batch_size)))
    with evaluating(model):
        return np.concatenate([model(torch.from_numpy(batch).to(like)).cpu().numpy() for batch in batches])


def accuracy(output: np.ndarray, labels: np.ndarray) -> float:
    """Fraction of right decisions."""
    return float((decisions(output) == labels).mean())


def fit(
    model: nn.Module,
    data: Dataset,
    epochs: int,
    learning_rate: float = 2e-3,
    batch_size: int = 64,
    seed: int = 0,
    augment: Augment | None = None,
    label_smoothing: float = 0.0,
    on_epoch: Callable[[int, History], None] | None = None,
) -> History:
    """Train with Adam and a one-cycle learning rate, on the model's device; it ends with the weights of its best epoch.

    Args:
        model: returns logits.
        data: trained on ``train``; ``validation`` decides which epoch is the best (see ``History.best_epoch``).
        epochs: how many.
        learning_rate: its largest value.
        batch_size: images a step.
        seed: of the order of the images and of the augmentation.
        augment: changes the images of a step, as ``random_shifts`` does; it draws from the generator that it gets.
        label_smoothing: see ``loss_of``; the losses in the history are without it.
        on_epoch: called after each epoch with its index and the history so far, for a progress bar.

    Raises:
        SparsePixError: ``epochs`` < 1; a loss that is not finite.
    """
    if epochs < 1:
        raise SparsePixError(f"fit: expected at least one epoch, found {epochs}")
    generator = torch.Generator().manual_seed(seed)
    like = next(model.parameters())
    images, labels = torch.from_numpy(data.train.images), torch.from_numpy(data.train.labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    steps = -(-len(labels) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=epochs * steps)
    history, best = History(), {}
    for epoch in range(epochs):
        model.train()
        losses = []
        for batch in torch.randperm(len(labels), generator=generator).split(batch_size):
            optimizer.zero_grad()
            inputs = images[batch] if augment is None else augment(images[batch], generator)
            target = labels[batch].to(like.device)
            output = model(inputs.to(like))
            loss_of(output, target, label_smoothing).backward()
            optimizer.step()
            schedule.step()
            losses.append(loss_of(output.detach(), target).item() * len(batch))
        if not np.isfinite(losses).all():
            raise SparsePixError(
                f"fit: expected finite losses, found NaN or infinity in epoch {epoch + 1}; "
                "lower the learning rate, or look for NaN in the images"
            )
        history.train_loss.append(sum(losses) / len(labels))
        _validate(model, data.validation, history)
        if history.best_epoch == epoch:
            best = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        if on_epoch is not None:
            on_epoch(epoch, history)
    model.load_state_dict(best)
    return history


def _validate(model: nn.Module, split: Split, history: History) -> None:
    output = predict(model, split.images)
    history.validation_loss.append(float(loss_of(torch.from_numpy(output), torch.from_numpy(split.labels))))
    history.validation_accuracy.append(accuracy(output, split.labels))
