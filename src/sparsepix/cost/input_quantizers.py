"""Which quantizer made the input of each layer, found by running a model once on a blank image.

Every tensor that torch computes from another inherits where that one came from; quantizers, flattening and the layers
with weights set it anew. So it works for any module, with functional calls in between or not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from sparsepix.export.module_copy import evaluation_copy
from sparsepix.export.tracer import ModuleTracer
from sparsepix.nn.quant_conv2d import QuantConv2d
from sparsepix.nn.quant_linear import QuantLinear
from sparsepix.nn.sparse_conv2d import SparseConv2d
from sparsepix.nn.sparse_flatten import SparseFlatten
from sparsepix.pixels.sparse_pixels import SparsePixels
from sparsepix.quant.quantizers import Quantizer
from sparsepix_ops.errors import SparsePixError

Weighted = SparseConv2d | QuantConv2d | QuantLinear


@dataclass(frozen=True)
class Source:
    """Where a value comes from: the quantizer that made it, and the flattening since when it is a vector."""

    quantizer: Quantizer | None = None
    flatten: SparseFlatten | None = None


@dataclass(frozen=True)
class Use:
    """One call of a layer with weights: its name in the model, the layer, the source of its input."""

    name: str
    layer: Weighted
    source: Source


_known: WeakKeyDictionary[nn.Module, tuple[tuple[int, ...], list[Use]]] = WeakKeyDictionary()


def layer_uses(model: nn.Module, input_shape: tuple[int, int, int]) -> list[Use]:
    """The layers with weights in the order of their calls; found once for each model and kept.

    Args:
        model: is left as it is.
        input_shape: (channels, height, width) of the image.

    Raises:
        SparsePixError: the model does not run on such an image.
    """
    key = (*input_shape, *map(id, model.modules()))
    if model not in _known or _known[model][0] != key:
        _known[model] = (key, _trace(model, input_shape))
    return _known[model][1]


def _trace(model: nn.Module, input_shape: tuple[int, int, int]) -> list[Use]:
    like = next(model.parameters())
    image = torch.zeros((1, *input_shape), dtype=like.dtype, device=like.device)
    # A copy: other threads may run the model, and its own hooks do not run.
    copy, copies = evaluation_copy(model, own_tensors=False)
    tracer = _SourceTracer({copied: module for module, copied in copies.items()})
    try:
        tracer.run(copy, image)
    except RuntimeError as error:
        raise SparsePixError(f"the model does not run on an image of shape {input_shape}: {error}") from error
    return tracer.uses


class _SourceTracer(ModuleTracer):
    """Follows the sources of tensors through one forward pass.

    Args:
        originals: by the module of a copy, what it is a copy of.
    """

    def __init__(self, originals: Mapping[nn.Module, nn.Module]) -> None:
        super().__init__()
        self.uses: list[Use] = []
        self._originals = originals
        self._sources: dict[int, Source] = {}

    def call(self, module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run a module; layers with weights are noted, and like quantizers and flattening set where a value is from."""
        if not isinstance(module, Weighted | Quantizer | SparseFlatten):
            return super().call(module, args, kwargs)
        copied, module = module, self._originals[module]
        source = self._source_of((*args, *kwargs.values()))
        if isinstance(module, Weighted):
            self.uses.append(Use(self.path, module, source))
        output = super().call(copied, args, kwargs)
        if isinstance(module, Weighted):
            self._set(output, Source())
        elif isinstance(module, SparseFlatten):
            self._set(output, Source(source.quantizer, module))
        elif module.format is not None:
            self._set(output, Source(module, source.flatten))
        return output

    def __torch_function__(
        self, function: Callable, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Let torch compute, and hand the source of its first argument that has one on to the result."""
        kwargs = dict(kwargs or {})
        result = function(*args, **kwargs)
        source = self._source_of((*args, *kwargs.values()))
        if source != Source():
            for leaf in pytree.tree_leaves(result):
                self._set(leaf, source)
        return result

    def _source_of(self, arguments: Sequence[Any]) -> Source:
        # Of pixels the features come first among the leaves.
        found = (self._sources.get(id(leaf)) for leaf in pytree.tree_leaves(arguments))
        return next((source for source in found if source is not None), Source())

    def _set(self, value: Any, source: Source) -> None:
        value = value.features if isinstance(value, SparsePixels) else value
        if isinstance(value, Tensor):
            self._sources[self.keep(value)] = source
