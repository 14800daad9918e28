"""Places of the nodes of a graph that flows downwards: each chain in a column, long edges on tracks beside them."""

from collections.abc import Sequence
from dataclasses import dataclass

_TRACK = 15.0  # between two edges that pass by
_PORT = 18.0  # between two edges that enter or leave a node
_MOST_TRACKED = 400  # long edges; those of a graph with more are drawn straight


@dataclass(frozen=True)
class Layout:
    """Where the nodes and the edges lie, horizontally; vertically only by ranks.

    Args:
        ranks: of each node, from the top.
        centres: place of the middle of each node.
        starts: of each edge, where it leaves its node.
        tracks: of each edge, where it passes the ranks between its nodes; None where there are none.
        ends: of each edge, where it enters its node.
        width: of all.
    """

    ranks: tuple[int, ...]
    centres: tuple[float, ...]
    starts: tuple[float, ...]
    tracks: tuple[float | None, ...]
    ends: tuple[float, ...]
    width: float


def layered(nodes: int, edges: Sequence[tuple[int, int]], width: float, gap: float) -> Layout:
    """Lay out a graph.

    Args:
        nodes: how many there are, in topological order.
        edges: (from, to), the first smaller than the second.
        width: of a node.
        gap: between two columns, beside the tracks between them.
    """
    ranks = [0] * nodes
    for start, end in sorted(edges, key=lambda edge: edge[1]):
        ranks[end] = max(ranks[end], ranks[start] + 1)
    columns = _columns(nodes, edges, ranks)
    tracks = _tracks(edges, ranks, columns)
    number = [0] * (max(columns, default=0) + 1)  # of tracks right of each column
    for track in tracks:
        if track is not None:
            number[track[0]] = max(number[track[0]], track[1] + 1)
    left = [0.0]
    for count in number:
        left.append(left[-1] + width + gap + count * _TRACK)
    beside = [None if track is None else left[track[0]] + width + gap / 2 + track[1] * _TRACK for track in tracks]
    centres = [left[column] + width / 2 for column in columns]
    along = [None if x is None else x + _TRACK / 2 for x in beside]
    leaving = _ports(edges, 0, centres, along, width)
    entering = _ports(edges, 1, centres, along, width)
    return Layout(tuple(ranks), tuple(centres), leaving, tuple(along), entering, left[-1] - gap)


def _columns(nodes: int, edges: Sequence[tuple[int, int]], ranks: Sequence[int]) -> list[int]:
    """The column of each node: that of the node before it, whose longest way on it is, or else a free one."""
    after: list[list[int]] = [[] for _ in range(nodes)]
    before: list[list[int]] = [[] for _ in range(nodes)]
    for start, end in edges:
        after[start].append(end)
        before[end].append(start)
    longest = [0] * nodes
    for node in reversed(range(nodes)):
        longest[node] = max((longest[end] + 1 for end in after[node]), default=0)
    # A node goes on below the one that it is the longest way of; of several of these, the one on the longest way.
    heir: list[int | None] = [None] * nodes
    taken = [False] * nodes
    for node in range(nodes):
        near = [end for end in after[node] if not taken[end]]
        if near:
            end = max(near, key=lambda end: (longest[end], -end))
            if longest[end] == max(longest[end] for end in after[node]):
                heir[node], taken[end] = end, True
    columns = [-1] * nodes
    used: list[list[tuple[int, int]]] = []  # ranks that are taken, by column
    for node in range(nodes):
        if columns[node] >= 0:
            continue
        chain = [node]
        while (following := heir[chain[-1]]) is not None:
            chain.append(following)
        first, last = ranks[chain[0]], ranks[chain[-1]]
        column = next((k for k, spans in enumerate(used) if all(b < first or last < a for a, b in spans)), len(used))
        used += [[] for _ in range(column + 1 - len(used))]
        used[column].append((first, last))
        for own in chain:
            columns[own] = column
    return columns


def _tracks(
    edges: Sequence[tuple[int, int]], ranks: Sequence[int], columns: Sequence[int]
) -> list[tuple[int, int] | None]:
    """For each edge that passes ranks: the column that it goes right of, and its place there; short ones inside."""
    held = {(columns[node], rank) for node, rank in enumerate(ranks)}
    found: list[tuple[int, int] | None] = [None] * len(edges)
    long = [k for k, (start, end) in enumerate(edges) if ranks[end] > ranks[start] + 1]
    used: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for k in sorted(long, key=lambda k: ranks[edges[k][1]] - ranks[edges[k][0]]) if len(long) <= _MOST_TRACKED else ():
        start, end = edges[k]
        first, last = ranks[start] + 1, ranks[end] - 1
        same = columns[start] == columns[end]
        if same and not any((columns[end], rank) in held for rank in range(first, last + 1)):
            continue  # straight down an empty column
        side = max(columns[start], columns[end]) - (not same)
        place = 0
        while any(first <= b and a <= last for a, b in used.get((side, place), ())):
            place += 1
        used.setdefault((side, place), []).append((first, last))
        found[k] = side, place
    return found


def _ports(
    edges: Sequence[tuple[int, int]],
    which: int,
    centres: Sequence[float],
    tracks: Sequence[float | None],
    width: float,
) -> tuple[float, ...]:
    """Where edges leave (0) or enter (1) their nodes: side by side, in the order of where they come from."""
    by_node: dict[int, list[int]] = {}
    for k, edge in enumerate(edges):
        by_node.setdefault(edge[which], []).append(k)
    places = [0.0] * len(edges)
    for node, its in by_node.items():

        def other(k: int) -> float:
            track = tracks[k]
            return centres[edges[k][1 - which]] if track is None else track

        step = min(_PORT, 0.8 * width / max(len(its), 1))
        ahead = [k for k in its if tracks[k] is None and other(k) == centres[node]]
        ordered = sorted(its, key=other)
        middle = ordered.index(ahead[0]) if ahead else (len(its) - 1) / 2  # a straight edge stays straight
        for place, k in enumerate(ordered):
            places[k] = centres[node] + (place - middle) * step
    return tuple(places)
