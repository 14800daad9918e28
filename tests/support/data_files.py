"""Small files in the formats of the real data sets, for tests."""

import gzip
from dataclasses import dataclass, field

import h5py
import numpy as np

CLASSES = ("j_g", "j_q", "j_w", "j_z", "j_t")


@dataclass
class Event:
    """One event of a MicroBooNE file.

    ``wires``: {(plane, wire): waveform [6400]}; ``hits``: (hit_id, plane, wire, time, rms);
    ``deposits``: (hit_id, g4_id, energy_fraction).
    """

    event_id: tuple[int, int, int]
    wires: dict = field(default_factory=dict)
    hits: list = field(default_factory=list)
    deposits: list = field(default_factory=list)


def neutrino_event(seed, event_id, wires=30, planes=(0, 1, 2)):
    """An event with a block of neutrino hits in each plane, cosmic hits across them, and silent wires."""
    rng = np.random.default_rng(seed)
    event = Event(event_id)
    hit_id = 0
    for plane in planes:
        first = int(rng.integers(0, (2400, 2400, 3456)[plane] - 2 * wires))
        time = float(rng.uniform(300, 6000))
        for wire in range(first, first + 2 * wires, 2):
            waveform = np.zeros(6400, dtype=np.float32)
            begin = int(time) - 130
            waveform[begin : begin + 260] = rng.integers(0, 60, 260)
            waveform[rng.integers(0, 6400, 20)] += rng.integers(-20, 80, 20)
            event.wires[plane, wire] = waveform
            event.hits.append((hit_id, plane, wire, time + rng.uniform(-5, 5), 60.0))
            event.deposits += [(hit_id, 7, 0.6), (hit_id, -1, 0.4)]
            hit_id += 1
            if wire % 8 == 0:
                # A cosmic hit over the neutrino's, and one without any deposit.
                event.hits.append((hit_id, plane, wire, time + 50, 10.0))
                event.deposits += [(hit_id, 3, 0.2), (hit_id, -1, 0.8)]
                event.hits.append((hit_id + 1, plane, wire, rng.uniform(0, 6400), 4.0))
                hit_id += 2
    return event


def write_microboone(path, events, chunks=None, without=(), dtype=np.float32):
    """Write events as tables; ``without`` names tables and columns to leave out."""

    def table(rows, width, kind):
        return np.array(rows, dtype=kind).reshape(len(rows), width)

    wires = [(e.event_id, plane, wire, waveform) for e in events for (plane, wire), waveform in e.wires.items()]
    hits = [(e.event_id, *hit) for e in events for hit in e.hits]
    deposits = [(e.event_id, *deposit) for e in events for deposit in e.deposits]
    columns = {
        "wire_table/event_id": table([w[0] for w in wires], 3, np.int32),
        "wire_table/local_plane": table([w[1] for w in wires], 1, np.int32),
        "wire_table/local_wire": table([w[2] for w in wires], 1, np.int32),
        "wire_table/adc": table([w[3] for w in wires], 6400, dtype),
        "hit_table/event_id": table([h[0] for h in hits], 3, np.int32),
    }
    for i, (name, kind) in enumerate(
        {"hit_id": "i4", "local_plane": "i4", "local_wire": "i4", "local_time": "f4", "rms": "f4"}.items()
    ):
        columns[f"hit_table/{name}"] = table([h[i + 1] for h in hits], 1, kind)
    columns["edep_table/event_id"] = table([d[0] for d in deposits], 3, np.int32)
    for i, (name, kind) in enumerate({"hit_id": "i4", "g4_id": "i4", "energy_fraction": "f4"}.items()):
        columns[f"edep_table/{name}"] = table([d[i + 1] for d in deposits], 1, kind)
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            if name in without or name.split("/")[0] in without:
                continue
            options = {}
            if name == "wire_table/adc" and chunks:
                options = {"chunks": (chunks, 6400), "compression": "gzip", "compression_opts": 1}
            file.create_dataset(name, data=values, **options)
    return path


def jet_images(seed, count):
    """Images [count, 100, 100] in GeV and class numbers [count]."""
    rng = np.random.default_rng(seed)
    images = np.where(rng.random((count, 100, 100)) < 0.02, rng.exponential(20, (count, 100, 100)), 0)
    images[:, 50, 49] = rng.uniform(300, 1500, count)
    return images, np.arange(count) % 5


def write_jets(path, images, labels, names=None, chunks=None):
    """Write jets; the class columns lie where ``names`` says (the real order if None)."""
    if names is None:
        names = [f"j_feature{i}" for i in range(53)] + [*CLASSES, "j_undef"]
    features = np.zeros((len(labels), 59), dtype=np.float32)
    for row, label in enumerate(labels):
        features[row, names.index(CLASSES[label])] = 1
    with h5py.File(path, "w") as file:
        file.create_dataset("jetImage", data=images, chunks=chunks and (chunks, 100, 100))
        file.create_dataset("jets", data=features)
        file.create_dataset("jetFeatureNames", data=np.array(names, dtype="S"))
    return path


def idx_bytes(array):
    """An array uint8 as the content of an IDX file."""
    header = (0x800 + array.ndim).to_bytes(4, "big") + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.tobytes()


def write_mnist(folder, seed, train=60, test=12, zipped=False):
    """The four files, and their arrays by name."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for half, count in (("train", train), ("t10k", test)):
        blobs = rng.integers(0, 256, (count, 28, 28)) * (rng.random((count, 28, 28)) < 0.3)
        arrays[f"{half}-images-idx3-ubyte"] = blobs.astype(np.uint8)
        arrays[f"{half}-labels-idx1-ubyte"] = (np.arange(count) % 10).astype(np.uint8)
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        content = idx_bytes(array)
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return arrays


def parts_of(data):
    """Training, validation and test."""
    return data.train, data.validation, data.test
