"""The network as a layered graph: boxes over lines, and what there is to say of a layer that is chosen."""

from typing import Any

from sparsepix_hls.html.layout import layered
from sparsepix_hls.html.text import FIGURES, count, escaped, shape, short_type, value_range

_WIDTH, _GAP, _DOWN, _EDGE = 316, 26, 34, 12  # of boxes, between them, and around all
_LINE, _FRAME = 18, 16  # heights: of a line of a box, and what is around its lines
_KNOWN = {"name", "op", "inputs", "outputs", "constants", "implementation", "reuse_factor", "parallel", "folds"}
Node = dict[str, Any]
Point = tuple[float, int]


def network(report: dict[str, Any]) -> str:
    """The graph and the details of every layer, as HTML.

    Args:
        report: of a project; one of before the inputs of layers were noted is drawn as a chain.
    """
    nodes, edges = graph_of(report)
    plan = layered(len(nodes), [(start, end) for start, end, _ in edges], _WIDTH, _GAP)
    left = [centre - _WIDTH / 2 + _EDGE for centre in plan.centres]
    texts = [_lines(node) for node in nodes]
    heights = [0] * (max(plan.ranks) + 1)
    for rank, lines in zip(plan.ranks, texts, strict=True):
        heights[rank] = max(heights[rank], _LINE * len(lines) + _FRAME)
    tops = [_EDGE + sum(heights[:rank]) + rank * _DOWN for rank in range(len(heights))]
    width, height = plan.width + 2 * _EDGE, tops[-1] + heights[-1] + _EDGE
    own = [_LINE * len(lines) + _FRAME for lines in texts]
    paths = []
    for (first, last, dashed), x, track, to_x in zip(edges, plan.starts, plan.tracks, plan.ends, strict=True):
        above, below = plan.ranks[first], plan.ranks[last]
        start, end = (x + _EDGE, tops[above] + own[first]), (to_x + _EDGE, tops[below] - 1)
        passed = None if track is None else (track + _EDGE, tops[above + 1], tops[below - 1] + heights[below - 1])
        paths.append(_line(start, passed, end, dashed))
    boxes = [_box(k, node, texts[k], left[k], tops[plan.ranks[k]], own[k]) for k, node in enumerate(nodes)]
    details = [_details(k, node) for k, node in enumerate(nodes)]
    return (
        '<div class="network"><div><div class="controls"><button type="button" data-zoom="smaller" title="smaller">−'
        '</button><button type="button" data-zoom="larger" title="larger">+</button><button type="button" '
        'data-zoom="fit">all of it</button><span class="legend">click on a layer for all that is known of it; lines '
        'are features, dashed ones coordinates</span></div><div class="graph" id="graph" tabindex="0" role="group" '
        'aria-label="layers of the model">'
        f'<div class="canvas" style="width:{width:.0f}px;height:{height:.0f}px">'
        f'<svg width="{width:.0f}" height="{height:.0f}" aria-hidden="true"><defs><marker id="arrow" viewBox="0 0 8 8" '
        'refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>'
        f"{''.join(paths)}</svg>{''.join(boxes)}</div></div></div>"
        f'<div class="details" id="details">{"".join(details)}</div></div>'
    )


def graph_of(report: dict[str, Any]) -> tuple[list[Node], list[tuple[int, int, bool]]]:
    """Nodes (image, layers, results) in order, and edges between them: (from, to, whether only of coordinates)."""
    image = report["input"]
    nodes: list[Node] = [{"name": image["name"], "outputs": [image], "_kind": "input", "_rows": []}]
    nodes += [{**layer, "_kind": "layer", "_rows": _rows(report, layer["name"])} for layer in report["layers"]]
    made = {tensor["name"]: k for k, node in enumerate(nodes) for tensor in node["outputs"]}
    edges: dict[tuple[int, int], bool] = {}
    for k, node in enumerate(nodes[1:], 1):
        known = [name for name in node.get("inputs", ()) if name in made and made[name] < k]
        if not known:
            edges[k - 1, k] = False
        lists = [name for name in known if _is_list(nodes, made, name)]
        for name in known:
            # Coordinates come with the features that lie on them; of a second list they are an input of their own.
            if name not in lists:
                edges[made[name], k] = False
        for name in lists if len(lists) > 1 else ():
            edges.setdefault((made[name], k), True)
    for result in report.get("outputs") or [report["output"]]:
        if result["name"] in made:
            edges[made[result["name"]], len(nodes)] = False
            label = result.get("label", result["name"])
            nodes.append({"name": label, "outputs": [result], "_kind": "output", "_rows": []})
    return nodes, [(start, end, dashed) for (start, end), dashed in edges.items()]


def _is_list(nodes: list[Node], made: dict[str, int], name: str) -> bool:
    """Whether a tensor holds coordinates: the second one of a layer that makes a list."""
    outputs = nodes[made[name]]["outputs"]
    return len(outputs) > 1 and outputs[-1]["name"] == name and outputs[-1]["shape"][-1:] == [2]


def _rows(report: dict[str, Any], layer: str) -> list[dict[str, Any]]:
    """What the estimate has of a layer; the rows of RTL name several layers."""
    return [row for row in report["estimate"]["rows"] if layer in row["name"].split(", ")]


def _line(start: Point, track: tuple[float, int, int] | None, end: Point, dashed: bool) -> str:
    """A line from below a box to above another one; on a track, between two heights, past the boxes between."""
    text, (x, y) = f"M{start[0]:.1f} {start[1]}", start
    stops = [end] if track is None else [(track[0], track[1]), end]
    for k, (to_x, to_y) in enumerate(stops):
        half = (to_y - y) // 2
        text += f"C{x:.1f} {y + half} {to_x:.1f} {to_y - half} {to_x:.1f} {to_y}"
        x, y = to_x, to_y
        if track is not None and k == 0:
            y = track[2]
            text += f"V{y}"
    style = ' class="coords"' if dashed else ""
    return f'<path d="{text}"{style} marker-end="url(#arrow)"/>'


def _lines(node: Node) -> list[str]:
    """What is in a box: name and stage, op, shape and format, formats of the constants."""
    tensor = node["outputs"][0]
    stage = next((row["stage"] for row in node["_rows"]), "")
    pill = f'<span class="stage" title="stage">{escaped(stage)}</span>' if stage else ""
    ranges = value_range(tensor)
    values = f" <i>{escaped(ranges)}</i>" if ranges else ""
    lines = [
        f'<div class="top"><b>{escaped(node["name"])}</b>{pill}</div>',
        f'<div class="what">{escaped(_what(node))}</div>',
        f'<div class="type"><span class="shape">{escaped(shape(tensor))}</span>{_type(tensor)}{values}</div>',
    ]
    for role, its in sorted(node.get("constants", {}).items(), key=lambda item: item[0] != "weight"):
        lines.append(f'<div class="type"><i>{escaped(role)}</i> {_type(its)} <i>{escaped(value_range(its))}</i></div>')
    return lines


def _type(tensor: dict[str, Any]) -> str:
    return escaped(short_type(tensor["type"]))


def _box(k: int, node: Node, lines: list[str], left: float, top: int, height: int) -> str:
    return (
        f'<button type="button" class="node {node["_kind"]}" data-node="{k}" '
        f'style="left:{left:.1f}px;top:{top}px;width:{_WIDTH}px;height:{height}px">{"".join(lines)}</button>'
    )


def _what(node: Node) -> str:
    if node["_kind"] != "layer":
        return {"input": "image", "output": "result"}[node["_kind"]]
    words = [node["op"]]
    size = node.get("kernel_size")
    if size:
        words.append("×".join(map(str, size)))
    if node.get("strides"):
        words.append("stride " + "×".join(map(str, node["strides"])))
    if node["op"] == "InputReduce":
        words.append(f"{node.get('max_pixels')} pixels, {node.get('selection')}")
    if node["op"] == "Head":
        words[0] = node.get("kind", "Head")
    if node["op"] == "Activation":
        words[0] = "ReLU" if node.get("relu") and not node.get("slope_shift") else "Activation"
    if node.get("implementation"):
        words.append(f"· {node['implementation']}")
    if node.get("reuse_factor", 1) > 1:
        words.append(f"· reuse {node['reuse_factor']}")
    return " ".join(words)


def _details(k: int, node: Node) -> str:
    rows = []
    if node["_kind"] == "layer":
        rows.append(("op", escaped(node["op"])))
        if node.get("implementation"):
            rows.append(("implementation", escaped(node["implementation"])))
        if "reuse_factor" in node:
            together = f"{node['reuse_factor']:,} ({node.get('parallel', 1):,} at once)"
            folds = f", {node['folds']:,} rounds for each item" if node.get("folds", 1) > 1 else ""
            rows.append(("reuse factor", escaped(together + folds)))
        rows += [
            (key.replace("_", " "), escaped(" × ".join(map(str, value)) if isinstance(value, list) else value))
            for key, value in node.items()
            if key not in _KNOWN and not key.startswith("_") and not isinstance(value, dict)
        ]
        if node.get("inputs"):
            rows.append(("reads", "<br>".join(escaped(name) for name in node["inputs"])))
    tensors = [_tensor(tensor["name"], tensor) for tensor in node["outputs"]]
    tensors += [_tensor(role, value) for role, value in node.get("constants", {}).items()]
    for row in node["_rows"]:
        figures = "".join(f"<dt>{name}</dt><dd>{count(row.get(key))}</dd>" for key, name in FIGURES)
        more = f'<p class="note">of {escaped(row["name"])} together</p>' if ", " in row["name"] else ""
        title = f"estimated, stage {row['stage']}" if row["stage"] else "estimated"
        tensors.append(f"<h4>{escaped(title)}</h4><dl>{figures}</dl>{more}")
    title = {"input": "image", "layer": "layer", "output": "result"}[node["_kind"]]
    return (
        f'<div class="detail" data-detail="{k}" hidden><h3>{escaped(node["name"])} <small>{title}</small></h3>'
        f"<dl>{''.join(f'<dt>{escaped(name)}</dt><dd>{value}</dd>' for name, value in rows)}</dl>"
        f"{''.join(tensors)}</div>"
    )


def _tensor(name: str, tensor: dict[str, Any]) -> str:
    ranges = value_range(tensor)
    values = f"<dt>values</dt><dd>{escaped(ranges)}</dd>" if ranges else ""
    return (
        f"<h4>{escaped(name)}</h4><dl><dt>shape</dt><dd>{escaped(shape(tensor))}</dd>"
        f"<dt>format</dt><dd><code>{escaped(tensor['type'])}</code></dd>{values}</dl>"
    )
