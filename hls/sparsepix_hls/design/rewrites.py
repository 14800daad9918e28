"""Rewrites of a model that a design asks for; they change the layers and no result."""

from collections.abc import Iterable
from dataclasses import replace

from sparsepix_hls.ir import graph as ir


def lookup_partner(graph: ir.Graph, flatten: ir.SparseFlatten) -> ir.Dense | None:
    """The dense layer directly behind a flatten, if nothing else reads the flattened image."""
    readers = [layer for layer in graph.layers if flatten.output in ir.inputs(layer)]
    alone = len(readers) == 1 and flatten.output not in graph.outputs
    return readers[0] if alone and isinstance(readers[0], ir.Dense) else None


def with_activations_next(graph: ir.Graph) -> ir.Graph:
    """Put each activation directly behind the layer whose output it reads: that is whose loop it joins.

    In a model with branches the layers of another branch may stand between the two.
    """
    readers: dict[str, list[ir.Layer]] = {}
    for layer in graph.layers:
        if isinstance(layer, ir.Activation):
            readers.setdefault(layer.input.name, []).append(layer)
    placed: list[ir.Layer] = []
    for layer in graph.layers:
        waiting = [] if isinstance(layer, ir.Activation) else [layer]
        while waiting:  # a chain of activations may be as long as the model
            placed.append(waiting.pop())
            behind = [found for made in ir.outputs(placed[-1]) for found in readers.get(made.name, [])]
            waiting += reversed(behind)
    return replace(graph, layers=tuple(placed))


def with_lookups(graph: ir.Graph, flattens: Iterable[str]) -> ir.Graph:
    """Put each of these flattens and its dense layer together: features times a looked-up weight.

    The joined layer has the name of the dense layer.
    """
    names = set(flattens)
    joined: dict[str, ir.SparseFlatten] = {}
    layers: list[ir.Layer] = []
    for layer in graph.layers:
        if isinstance(layer, ir.SparseFlatten) and layer.name in names:
            partner = lookup_partner(graph, layer)
            assert partner is not None
            joined[partner.name] = layer
        elif isinstance(layer, ir.Dense) and layer.name in joined:
            layers.append(_join(joined[layer.name], layer))
        else:
            layers.append(layer)
    return replace(graph, layers=tuple(layers))


def _join(flatten: ir.SparseFlatten, dense: ir.Dense) -> ir.SparseFlattenDense:
    height, width = flatten.spatial_shape
    raw = dense.weight.raw.reshape(height * width, flatten.features.shape[1], -1)
    return ir.SparseFlattenDense(
        name=dense.name,
        features=flatten.features,
        coords=flatten.coords,
        output=dense.output,
        spatial_shape=flatten.spatial_shape,
        weight=replace(dense.weight, raw=raw),
        bias=dense.bias,
    )
