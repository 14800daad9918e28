"""A plain training loop: enough for the models here, and nothing that a loop of your own could not do."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparsepix.datasets import Dataset, Split


@dataclass
class History:
    """What happened in each epoch, one entry an epoch."""

    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """Index of the first epoch with the highest validation accuracy."""
        return int(np.argmax(self.validation_accuracy))


def loss_of(output: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of logits: [B, classes] against class numbers [B], or [B, 1] against 0 and 1."""
    if output.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(output[:, 0], labels.to(output.dtype))
    return F.cross_entropy(output, labels)


def decisions(output: np.ndarray) -> np.ndarray:
    """Class numbers [E] of logits: the largest of [E, classes], the sign of [E, 1]."""
    return (output[:, 0] > 0).astype(np.int64) if output.shape[1] == 1 else output.argmax(axis=1)


@torch.no_grad()
def predict(model: nn.Module, images: np.ndarray, batch_size: int = 512) -> np.ndarray:
    """Outputs of a model for images [E, C, H, W], in evaluation mode and in the model's dtype."""
    dtype = next(model.parameters()).dtype
    training = model.training
    model.eval()
    parts = [
        model(torch.from_numpy(part).to(dtype)).numpy() for part in np.array_split(images, _parts(images, batch_size))
    ]
    model.train(training)
    return np.concatenate(parts)


def _parts(images: np.ndarray, batch_size: int) -> int:
    return max(1, -(-len(images) // batch_size))


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
    on_epoch: Callable[[int, History], None] | None = None,
) -> History:
    """Train with Adam and a one-cycle learning rate; the model ends with the weights of its best epoch.

    Args:
        model: returns logits.
        data: trained on ``train``; the best epoch is the one with the highest accuracy on ``validation``.
        epochs: how many.
        learning_rate: its largest value.
        batch_size: images a step.
        seed: of the order of the images.
        on_epoch: called after each epoch with its index and the history so far, for a progress bar.
    """
    generator = torch.Generator().manual_seed(seed)
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
            loss = loss_of(model(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item() * len(batch))
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
