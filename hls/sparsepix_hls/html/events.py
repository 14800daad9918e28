"""Events of a project's testbench, read back from its files: which pixels are kept, which dropped, and the results."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from sparsepix_hls.html.text import exponent
from sparsepix_ops.ops.input_reduce import OP

FIRST = 24  # events that are shown in any case, and at most as many more that drop pixels
_MOST_READ = 20_000_000  # numbers of the testbench that are looked at
_MOST_SHOWN = 150_000  # numbers of all events in a page: six bytes each
_VALUES_OF_DROPPED = 2000  # of an event; the places of more are shown without
_MOST_RESULTS = 4096  # numbers of a result of an event


def testbench_events(directory: Path, report: dict[str, Any]) -> dict[str, Any] | None:
    """Some events as plain data; None if the project has no testbench that can be read.

    Args:
        directory: of the project.
        report: of the project.
    """
    reduce = next((layer for layer in report.get("layers", ()) if layer.get("op") == "InputReduce"), None)
    outputs = report.get("outputs") or [report.get("output")]
    needed = {"max_pixels", "threshold_raw", "activity", "selection"}
    if reduce is None or not needed <= set(reduce) or None in outputs:
        return None
    image = report["input"]
    sizes = [int(np.prod(tensor["shape"])) for tensor in outputs]
    found, looked_at, numbers = [], 0, 0
    try:
        inputs = _rows(directory / "tb/data/inputs.dat", int(np.prod(image["shape"])))
        results = _rows(directory / "tb/data/outputs.dat", sum(sizes))
        for number, (raw, result) in enumerate(zip(inputs, results, strict=False)):
            looked_at += 1
            event = _event(raw.reshape(image["shape"]), reduce)
            if number < FIRST or (event["dropped"] and len(found) < 2 * FIRST):
                numbers += len(event["values"]) + len(event["dropped_values"]) + len(event["dropped_runs"])
                if found and numbers > _MOST_SHOWN:
                    break
                parts = np.split(result, np.cumsum(sizes)[:-1])
                event["results"] = [part[:_MOST_RESULTS].tolist() for part in parts]
                found.append({"number": number, **event})
            if looked_at * raw.size > _MOST_READ or len(found) == 2 * FIRST:
                break
    except (OSError, ValueError):  # the files are the user's, too
        return None
    if not found:
        return None
    return {
        "shape": image["shape"],
        "exponent": exponent(image["type"]),
        "max_pixels": reduce["max_pixels"],
        "head": report.get("dropped_head") or "",
        "outputs": [
            {
                "name": tensor.get("label", tensor["name"]),
                "shape": tensor["shape"],
                "exponent": exponent(tensor["type"]),
                "by_pixel": len(tensor["shape"]) == 2 and tensor["shape"][0] == reduce["max_pixels"],
            }
            for tensor in outputs
        ],
        "events": found,
        "looked_at": looked_at,
        "total": report.get("testbench", {}).get("events", looked_at),
    }


def _rows(path: Path, size: int) -> Iterator[np.ndarray]:
    """The events of a file of a testbench, int64 [size]."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            if not line.startswith("#"):
                row = np.array([*map(int, line.split())], dtype=np.int64)  # numpy takes longer to read words
                if row.size != size:
                    raise ValueError(f"{path}: expected {size} numbers, found {row.size}")
                yield row


def _event(raw: np.ndarray, reduce: dict[str, Any]) -> dict[str, Any]:
    """The list of an image [C, H, W], and what did not fit into it."""
    channels, height, width = raw.shape
    settings = {key: reduce[key] for key in ("activity", "selection")} | {"threshold": reduce["threshold_raw"]}
    # The op itself, with a list for all pixels and then with that of the model.
    _, every = OP.compute([raw[None]], settings | {"max_pixels": height * width})
    features, kept = OP.compute([raw[None]], settings | {"max_pixels": reduce["max_pixels"]})
    places, all_places = (c[0, :, 0][c[0, :, 0] >= 0] * width + c[0, :, 1][c[0, :, 0] >= 0] for c in (kept, every))
    is_kept = np.zeros(height * width, dtype=bool)
    is_kept[places] = True
    dropped = all_places[~is_kept[all_places]]
    values = raw.reshape(channels, -1)[:, dropped[:_VALUES_OF_DROPPED]].T
    return {
        "kept": places.tolist(),
        "values": features[0, : len(places)].ravel().tolist(),
        "dropped": len(dropped),
        "dropped_runs": _runs(dropped),
        "dropped_values": values.ravel().tolist(),
    }


def _runs(places: np.ndarray) -> list[int]:
    """Sorted places as (first, number) of each run, one after the other."""
    if not len(places):
        return []
    starts = np.flatnonzero(np.diff(places, prepend=places[0] - 2) != 1)
    return [n for a, b in pairwise([*starts.tolist(), len(places)]) for n in (int(places[a]), b - a)]
