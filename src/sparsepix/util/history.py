"""What happened in each epoch of a training."""

import csv
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from sparsepix_ops.system.files import atomic_write

Monitor = Literal["accuracy", "loss"]  # what of the validation chooses the best epoch


@dataclass
class History:
    """What happened in each epoch, one entry an epoch. Training losses are of the images that the steps saw.

    Args:
        train_loss: mean task loss (see ``loss_of``) of the epoch's steps, without penalties.
        validation_loss: mean task loss of the validation images after the epoch.
        validation_accuracy: fraction of right decisions.
        penalties: by name, weight times mean value: what was added to the loss of the epoch's steps.
        budget: slots of the model's input reduction after the epoch; empty for a model without one.
        threshold: of the input reduction after the epoch, likewise.
        ebops: mean bit operations an image of the epoch's steps (see ``sparsepix.ebops``); only with that penalty.
        learning_rate: of the epoch's last step.
        seconds: the epoch took, validation included.
        float_epochs: how many of them were in float, before the calibration of the formats.
        monitor: which validation figure decides the best epoch.
    """

    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    penalties: dict[str, list[float]] = field(default_factory=dict)
    budget: list[float] = field(default_factory=list)
    threshold: list[float] = field(default_factory=list)
    ebops: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    float_epochs: int = 0
    monitor: Monitor = "accuracy"

    @property
    def best_epoch(self) -> int:
        """Index of the epoch with the highest validation accuracy, of several the one with the lowest loss.

        With ``monitor='loss'``, and always with penalties: the epoch with the lowest sum of validation loss and
        penalties. The highest accuracy would often be an early one, in which the budget has not shrunk yet. An epoch in
        float is the best only as long as there is no other.
        """
        if self.penalties or self.monitor == "loss":
            terms = zip(self.validation_loss, *self.penalties.values(), strict=True)
            ranks = [(-sum(values),) for values in terms]
        else:
            # A small validation set has few accuracies, so that ties are common.
            ranks = [
                (accuracy, -loss) for accuracy, loss in zip(self.validation_accuracy, self.validation_loss, strict=True)
            ]
        first = self.float_epochs if self.float_epochs < len(ranks) else 0
        return max(range(first, len(ranks)), key=lambda epoch: ranks[epoch])

    def columns(self) -> dict[str, list[float]]:
        """All that was recorded, a list with an entry an epoch for each name.

        A penalty's is ``penalty_<name>``; ``quantized`` is 0 in float and 1 after it, where there were epochs in float.
        """
        plain: dict[str, Any] = asdict(self)
        del plain["monitor"]
        in_float, epochs = plain.pop("float_epochs"), len(self.train_loss)
        if in_float:
            plain["quantized"] = [float(epoch >= in_float) for epoch in range(epochs)]
        penalties = {f"penalty_{name}": values for name, values in plain.pop("penalties").items()}
        return {name: values for name, values in (plain | penalties).items() if values}

    def to_csv(self, path: str | Path) -> None:
        """Write a table with a row an epoch, counted from 1.

        Raises:
            SparsePixError: the file cannot be written.
        """
        columns = self.columns()
        # Written after each epoch; the checkpoint holds the same.
        with atomic_write(path, sync=False) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["epoch", *columns])
            writer.writerows([epoch, *row] for epoch, row in enumerate(zip(*columns.values(), strict=True), start=1))
