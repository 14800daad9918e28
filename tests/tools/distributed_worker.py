"""One of the processes of test_distributed.py, started by torchrun; leaves what it found in a folder."""

import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import torch

from small_training import toy, toy_model
from sparsepix.cli import train as train_cli
from sparsepix.cost import penalty_terms
from sparsepix.quant.formats import CalibratedFixedPoint, LearnedFixedPoint
from sparsepix.quant.quantizers import Quantizer
from sparsepix.training import distributed, fit
from sparsepix_ops.errors import SparsePixError


def weight_size(model, names):
    """A penalty in its simplest form: the weights alone decide it."""
    assert names == ["ebops"]
    return {"ebops": sum(parameter.square().sum() for parameter in model.parameters())}


def trained(**options):
    model = toy_model()
    if distributed.rank():  # they have to begin with the weights of process 0
        torch.nn.init.ones_(model[-1].weight)
    history = fit(model, toy(), **{"epochs": 2, "learning_rate": 2e-2, "seed": 5} | options)
    return model.state_dict(), asdict(history)


def calibrated(kind, **options):
    """A model whose formats adapt: two epochs in float, two with the formats."""
    model = toy_model()
    model[1].weight_quantizer, model[1].bias_quantizer = (Quantizer(kind(8), "weight") for _ in range(2))
    model[2].quantizer = Quantizer(kind(8, signed=False), "relu")
    history = fit(model, toy(), epochs=4, seed=5, batch_size=10, **options)
    return model.state_dict(), asdict(history)


def stopped_and_continued(path, **options):
    """Process 1 is asked to stop, and both do."""
    options |= {"checkpoint": path}
    asked = []

    def stop():
        asked.append(None)
        return distributed.rank() == 1 and len(asked) == 2

    try:
        trained(**options, stop=stop)
    except KeyboardInterrupt:
        return trained(**options)
    raise AssertionError("it did not stop")


def failed_together():
    """NaN reaches one process alone; both raise."""

    def spoil(images, generator):
        return images * torch.nan if distributed.rank() == 1 else images

    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(81, 2))
    try:
        fit(model, toy(), epochs=2, augment=spoil)
    except SparsePixError as error:
        return str(error)
    raise AssertionError("it did not fail")


def main(folder):
    penalty_terms.penalties = weight_size
    with distributed.process_group(torch.device("cpu")):
        found = {
            "rank": distributed.rank(),
            "world_size": distributed.world_size(),
            # The last batch has 2 images, the batches of 1 leave one process without any.
            "batches of 10": trained(batch_size=10),
            "batches of 1": trained(batch_size=1, epochs=3),
            "penalty": trained(batch_size=7, penalties={"ebops": 1e-3}, label_smoothing=0.1),
            "batches of 1, continued": stopped_and_continued(folder / "checkpoint.pt", batch_size=1, epochs=3),
            "batches of 10, continued": stopped_and_continued(folder / "other.pt", batch_size=10),
            "calibrated": calibrated(CalibratedFixedPoint),
            "learned": calibrated(LearnedFixedPoint),
            "nan": failed_together(),
        }
        torch.save(found, folder / f"{distributed.rank()}.pt")
        options = ["--epochs", "2", "--no-batch-norm", "--selection", "magnitude", "--device", "cpu"]
        return train_cli.main(["digits", *options, "-o", str(folder / "run")])


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
