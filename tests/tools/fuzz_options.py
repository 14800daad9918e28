"""Broken option files (YAML) and testbench data (.npy); see ``fuzz``."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from fuzz import Case
from onnx_models import layers_with_options
from onnx_mutations import pick
from sparsepix_hls.design.options_file import read_options
from sparsepix_hls.flow.translation import translate
from sparsepix_hls.project.testbench_data import load_images

KEYS = (
    "reduce",
    "io",
    "conv",
    "flatten",
    "dense",
    "pixels_per_cycle",
    "scan_pixels",
    "clock_uncertainty",
    "reuse_factor",
    "target_interval",
)
VALUES = (
    "scan", "stream", "tree", "auto", "parallel", "pairs", "gather", "overlap", "lookup", "scatter", "multiply",
    "adders",
    "1", "2", "3", "0", "-1", "1.5", "1e9", "true", "null", '"3"', "[1]", "{a: 1}", "0x10", "0b11", "1_0", "010", "~",
    "",
    "1" + "0" * 30, ".nan", ".inf", "2020-01-01", "!!int 3", "!!str 3", "!!set {a}", "!!binary aGk=", "!!float 3",
    "!!python/object/apply:os.system [ls]", "!unknown 1", "&a 1", "*a", "<<", "|\n  text", "'", '"', "\\", "\t",
    "%", "@",
    "`",
    "ünïcode", "\x00", "x" * 5000, "[" * 2000, "{a: " * 1500, "- " * 500,
)  # fmt: skip
LAYERS = ("conv1", "dense1", "reduce", "flatten", "act1", "none", "1", "null", "[1]", "? a", "conv1")


@cache
def model() -> bytes:
    """A small model with a layer of each kind that has options."""
    return layers_with_options().model().SerializeToString()


FITTING = {
    "reduce": ("scan", "stream", "tree", "auto"),
    "io": ("parallel", "stream", "auto"),
    "conv": ("pairs", "gather", "overlap", "stream", "auto"),
    "flatten": ("scatter", "lookup", "auto"),
    "dense": ("multiply", "adders", "auto"),
    "implementation": ("pairs", "gather", "multiply"),
}


def _value(rng: np.random.Generator, key: str) -> str:
    return pick(rng, FITTING.get(key, ("1", "2", "3")) if rng.random() < 0.7 else VALUES)


def option_text(rng: np.random.Generator) -> bytes:
    """A YAML file with a few options, mostly wrong."""
    lines = [f"{key}: {_value(rng, key)}" for key in rng.choice(KEYS, size=int(rng.integers(4)))]
    if rng.random() < 0.5:
        lines.append(f"layers: {pick(rng, VALUES) if rng.random() < 0.2 else ''}")
        own = ("implementation", "reuse_factor", "reduce")
        lines += [
            f"  {pick(rng, LAYERS)}: {{{first}: {_value(rng, first)}, {second}: {_value(rng, second)}}}"
            for first, second in rng.choice(own, size=(int(rng.integers(3)), 2))
        ]
    if rng.random() < 0.2:
        lines.insert(
            0, pick(rng, ("---", "%YAML 9.9", "--- !!map", "- a", "anchor: &a [*a, *a]", "<<: {reduce: scan}"))
        )
    if rng.random() < 0.1:
        lines += ["---", "reduce: scan"]
    data = bytearray("\n".join(lines).encode())
    if rng.random() < 0.2 and data:
        for _ in range(int(rng.integers(1, 4))):
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
    return bytes(data)


def yaml_case(rng: np.random.Generator) -> Case:
    """An option file, and a project with it where it can be read."""
    data, backend = option_text(rng), str(pick(rng, ("hls", "rtl")))
    clock = (
        5.0
        if rng.random() < 0.7
        else pick(rng, (2, np.float32(4), 0, -1, 1e-9, 1e9, float("nan"), float("inf"), "5", None, True, 10**30))
    )

    def write(folder: Path) -> None:
        (folder / "options.yaml").write_bytes(data)
        (folder / "net.onnx").write_bytes(model())

    def use(folder: Path) -> None:
        options = read_options(folder / "options.yaml")
        translate(folder / "net.onnx", folder / "out", clock_ns=clock, options=options, backend=backend)

    return Case(f"{data[:60]!r}, clock {clock!r}, {backend}", write, use)


def _header(rng: np.random.Generator) -> bytes:
    shape = pick(
        rng,
        ("(1, 1, 4, 4)", "(2, 1, 4, 4)", "(10**9,)", f"({10**18}, 4)", "(-1, 4)", "()", "(0, 1, 4, 4)", "4", "(True,)"),
    )
    kind = pick(
        rng, ("<f4", "<f8", ">f8", "|O", "|b1", "<U9", "<c16", "<M8[s]", "[('a', '<f4')]", "x", "<i8", "<f2", "|V7")
    )
    kind = kind if kind.startswith("[") else f"'{kind}'"
    text = f"{{'descr': {kind}, 'fortran_order': {pick(rng, ('False', 'True', '2'))}, 'shape': {shape}, }}"
    return pick(rng, (text, text[:-3], "(" * 500, "{'descr': [" * 300, text + " " * 10000, "__import__('os')")).encode()


def npy_bytes(rng: np.random.Generator) -> bytes:
    """A .npy file with a header that may not fit its data."""
    header = _header(rng)
    version = pick(rng, ((1, 0), (2, 0), (3, 0), (9, 9)))
    size = len(header).to_bytes(2 if version[0] == 1 else 4, "little")
    data = b"\x93NUMPY" + bytes(version) + size + header + rng.bytes(int(pick(rng, (0, 64, 128, 1000))))
    return data[: int(rng.integers(len(data)))] if rng.random() < 0.2 else data


def npy_case(rng: np.random.Generator) -> Case:
    """Images for the testbench."""
    data = npy_bytes(rng)

    def write(folder: Path) -> None:
        (folder / "images.npy").write_bytes(data)
        (folder / "net.onnx").write_bytes(model())

    def use(folder: Path) -> None:
        images = load_images(folder / "images.npy")
        translate(folder / "net.onnx", folder / "out", testbench_inputs=images)

    return Case(f"{data[:90]!r}", write, use)


def mutate(rng: np.random.Generator) -> Case:
    """Either kind."""
    kinds: tuple[Callable[[np.random.Generator], Case], ...] = (yaml_case, yaml_case, npy_case)
    return pick(rng, kinds)(rng)


FUZZERS = {"options": mutate}
