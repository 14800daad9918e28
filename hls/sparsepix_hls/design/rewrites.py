"""Rewrites of a model that a design asks for; they change the layers and no result."""

from collections.abc import Iterable
from dataclasses import replace

from sparsepix_hls.ir.graph import Graph, Layer
from sparsepix_hls.layers.dense import Dense
from sparsepix_hls.layers.input_reduce import input_reduce
from sparsepix_hls.layers.sparse_conv2d import SparseConv2d
from sparsepix_hls.layers.sparse_flatten import SparseFlatten, SparseFlattenDense


def lookup_partner(graph: Graph, flatten: SparseFlatten) -> Dense | None:
    """The dense layer directly after a flatten, if nothing else reads the flattened image."""
    readers = [layer for layer in graph.layers if flatten.output in layer.inputs]
    alone = len(readers) == 1 and flatten.output not in graph.outputs
    return readers[0] if alone and isinstance(readers[0], Dense) else None


def overlap_candidate(graph: Graph) -> SparseConv2d | None:
    """The first convolution that reads the listed pixels as they are."""
    reduce = input_reduce(graph)
    convs = (layer for layer in graph.layers if isinstance(layer, SparseConv2d))
    return next((conv for conv in convs if conv.features == reduce.features), None)


def with_activations_next(graph: Graph) -> Graph:
    """Put each activation directly after the layer whose output it reads, since it joins that layer's loop.

    In a model with branches the layers of another branch may be between the two.
    """
    readers: dict[str, list[Layer]] = {}
    for layer in graph.layers:
        if layer.joins:
            readers.setdefault(layer.inputs[0].name, []).append(layer)
    placed: list[Layer] = []
    for layer in graph.layers:
        waiting = [] if layer.joins else [layer]
        while waiting:  # a chain of activations may be as long as the model
            placed.append(waiting.pop())
            after = [found for made in placed[-1].outputs for found in readers.get(made.name, [])]
            waiting += reversed(after)
    return replace(graph, layers=tuple(placed))


def with_lookups(graph: Graph, flattens: Iterable[str]) -> Graph:
    """Put each of these flattens and its dense layer together: features times a looked-up weight.

    The joined layer has the name of the dense layer.
    """
    names = set(flattens)
    joined: dict[str, SparseFlatten] = {}
    layers: list[Layer] = []
    for layer in graph.layers:
        if isinstance(layer, SparseFlatten) and layer.name in names:
            partner = lookup_partner(graph, layer)
            assert partner is not None
            joined[partner.name] = layer
        elif isinstance(layer, Dense) and layer.name in joined:
            layers.append(_join(joined[layer.name], layer))
        else:
            layers.append(layer)
    return replace(graph, layers=tuple(layers))


def _join(flatten: SparseFlatten, dense: Dense) -> SparseFlattenDense:
    height, width = flatten.spatial_shape
    raw = dense.weight.raw.reshape(height * width, flatten.features.shape[1], -1)
    return SparseFlattenDense(
        name=dense.name,
        features=flatten.features,
        coords=flatten.coords,
        output=dense.output,
        spatial_shape=flatten.spatial_shape,
        weight=replace(dense.weight, raw=raw),
        bias=dense.bias,
    )
