"""Penalties for training: what a model costs, as numbers that a loss can include."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from sparsepix.cost.ebops import total_ebops
from sparsepix.cost.penalty_names import PENALTIES as NAMES
from sparsepix.nn.sparse_input_reduce import SparseInputReduce
from sparsepix_ops.errors import SparsePixError


def penalties(model: nn.Module, names: Collection[str] = NAMES) -> dict[str, Tensor]:
    """What the last training step's model and images cost, each a scalar with a gradient.

    ``loss = task + sum(weight[name] * value for name, value in penalties(model).items())``: the weights are the
    caller's. To be called between the forward pass and ``backward``.

    Args:
        model: any module made of the layers of this library, after a forward pass in training mode.
        names: those wanted.

    Returns:
        Those of the following that are wanted and apply to the model:

        - 'budget', if a budget is learned: the budget as a share of where it started (1 at first);
        - 'masked_intensity', if a budget or threshold is learned: the share of an image's intensity (sum of absolute
          values) that the selection drops, mean over the batch; an empty image counts 0, and so does a batch
          of none;
        - 'ebops', if all weights and inputs of layers have formats: bit operations an image (see ``ebops``). It is
          not scaled: millions for a large model, so its weight is of the order of 1e-7.

    Raises:
        SparsePixError: a name that is none of these; the model has not run in training mode yet.
    """
    if unknown := set(names) - set(NAMES):
        raise SparsePixError(f"penalties: expected names of {', '.join(NAMES)}, found {', '.join(sorted(unknown))}")
    model = getattr(model, "_orig_mod", model)  # what torch.compile has wrapped
    reduces = [module for module in model.modules() if isinstance(module, SparseInputReduce)]
    learned = [r for r in reduces if r.learned_max_pixels is not None or r.learned_threshold is not None]
    values: dict[str, Tensor] = {}
    budgets = [reduce.learned_max_pixels for reduce in learned if reduce.learned_max_pixels is not None]
    if "budget" in names and budgets:
        values["budget"] = _mean([budget.bounded_share().to(budget.share.dtype) for budget in budgets])
    if "masked_intensity" in names and learned:
        values["masked_intensity"] = _mean([masked_intensity(reduce) for reduce in learned])
    if "ebops" in names and (total := total_ebops(model)) is not None:
        values["ebops"] = total
    return values


def missing(model: nn.Module, names: Collection[str]) -> list[str]:
    """A message for each penalty of those names that can be seen to be none of the model's, before it has run."""
    reduces = [module for module in model.modules() if isinstance(module, SparseInputReduce)]
    budget = any(reduce.learned_max_pixels is not None for reduce in reduces)
    learned = budget or any(reduce.learned_threshold is not None for reduce in reduces)
    problems = []
    if "budget" in names and not budget:
        problems.append("the model has no penalty budget: it learns no max_pixels")
    if "masked_intensity" in names and not learned:
        problems.append("the model has no penalty masked_intensity: it learns neither max_pixels nor a threshold")
    return problems


def _mean(values: list[Tensor]) -> Tensor:
    return values[0] if len(values) == 1 else torch.stack(values).mean()


def masked_intensity(reduce: SparseInputReduce) -> Tensor:
    """The share of an image's intensity that a learned selection drops, mean over the last training batch.

    Raises:
        SparsePixError: the layer has not run in training mode yet.
    """
    last = reduce.last_forward
    if not hasattr(last, "presence"):
        raise SparsePixError("penalties: the model has not run in training mode; call model.train() and model(images)")
    # Without an array of absolute values, as large as the images.
    intensity = torch.linalg.vector_norm(last.image, 1, (1, 2, 3))
    kept = (last.features.abs().sum(2) * last.presence).sum(1)
    dropped = (intensity - kept) / intensity.masked_fill(intensity == 0, 1.0)
    return dropped.sum() / max(len(dropped), 1)


def weighted(model: nn.Module, weights: Mapping[str, float], without: Collection[str] = ()) -> list[Tensor]:
    """What each penalty adds to the loss of a training: a scalar each, with a gradient.

    Args:
        model: that has just computed a batch.
        weights: of each penalty, by name.
        without: names of penalties that are not added now; 0 stands in their place.

    Raises:
        SparsePixError: a penalty that the model does not have.
    """
    if not weights:
        return []
    # Only what is asked for: bit operations cost as much as a small layer.
    values = penalties(model, [name for name in weights if name not in without])
    values |= {name: next(model.parameters()).new_zeros(()) for name in without if name in weights}
    if unknown := [name for name in weights if name not in values]:
        raise SparsePixError(
            f"fit: the model has no penalty {', '.join(unknown)}; it has {', '.join(values) or 'none'}"
        )
    return [weight * values[name] for name, weight in weights.items()]
