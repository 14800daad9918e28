"""The description of a model in a Keras archive: its layers, if they are a chain."""

import reprlib
from collections.abc import Mapping
from typing import Any


def layers_of(config: Mapping[str, Any], problems: list[str]) -> list[Mapping[str, Any]]:
    """The layers of a model in order, if it is a chain."""
    kind, inner = config.get("class_name"), config.get("config")
    layers = inner.get("layers") if isinstance(inner, Mapping) else None
    if kind not in ("Functional", "Sequential") or not isinstance(layers, list):
        problems.append(f"the model: expected a functional or sequential one, found {kind!r}")
        return []
    if wrong := [
        layer for layer in layers if not isinstance(layer, Mapping) or not isinstance(layer.get("config"), Mapping)
    ]:
        problems.append(f"the model: expected descriptions of layers, found {reprlib.repr(wrong[0])}")
        return []
    if kind == "Functional":
        problems += _chain_problems(inner, layers)
    return layers


def _chain_problems(inner: Mapping[str, Any], layers: list[Mapping[str, Any]]) -> list[str]:
    """Where a functional model is no chain from one input to one output."""
    problems, before = [], None
    for layer in layers:
        try:
            sources = [name for name, output in _sources(layer.get("inbound_nodes")) if output == 0]
        except (KeyError, TypeError, ValueError):
            problems.append(f"{layer.get('name')}: expected the layers that it reads, found something else")
            return problems
        if sources != ([before] if before else []):
            problems.append(
                f"{layer.get('name')}: expected a chain of layers, this one reads {', '.join(sources) or 'nothing'}"
            )
        before = str(layer.get("name"))
    for what, place in (("input", 0), ("output", -1)):
        ends = inner.get(f"{what}_layers")
        expected = [str(layers[place].get("name")), 0, 0] if layers else None
        if ends not in (expected, [expected]):
            problems.append(
                f"the model: expected one {what}, the {'first' if place == 0 else 'last'} layer, found {ends}"
            )
    return problems


def _sources(nodes: Any) -> list[tuple[str, int]]:
    """The layers, and their outputs, whose results a layer reads."""
    if isinstance(nodes, Mapping):
        if nodes.get("class_name") == "__keras_tensor__":
            name, _, output = nodes["config"]["keras_history"]
            return [(str(name), int(output))]
        return [found for value in nodes.values() for found in _sources(value)]
    return [found for value in nodes for found in _sources(value)] if isinstance(nodes, list) else []


def dtype_of(config: Mapping[str, Any]) -> Any:
    """The precision that a layer computes with: a name, or a policy of that name."""
    dtype = config.get("dtype")
    return (
        dtype["config"].get("name")
        if isinstance(dtype, Mapping) and isinstance(dtype.get("config"), Mapping)
        else dtype
    )
