"""The 24 published sparse models: does a decision change between their authors' floating point and our fixed point?

    python benchmarks/published_decisions.py FOLDER                    # 24 models, 100 published events each
    python benchmarks/published_decisions.py FOLDER --mnist FOLDER     # and the 10,000 test images of MNIST
    python benchmarks/published_decisions.py FOLDER --output FOLDER    # and published_decisions.json there

The first FOLDER is a checkout of github.com/hftsoi/sparse-pixels at v0.2.1: of it are read ``weights/*.h5``, and in
``hls_proj`` the events and stored predictions of each project (``tb_data``). The second holds MNIST's IDX files. They
are not part of the project, and without them there is nothing to show.

The paper quantizes weights and activations only. The presets also round the image and the pooled averages, as firmware
must. A decision is the largest of the logits, the first of equal ones; with one logit, whether it exceeds 0. On the
published events our decisions are compared with the authors' stored predictions; on MNIST with those of our layers
without the two roundings, which reproduce the stored predictions to 2e-6 but for one event on a tie of a rounding. Our
outputs are those of the exported file in integers: the firmware's, bit for bit.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from results import add_output, write_results
from rich.console import Console
from rich.table import Table

import sparsepix as sp
from sparsepix.datasets.idx_files import prepare_images, read_idx
from sparsepix.models.sparse_cnn import SparseCNN
from sparsepix.training import decisions
from sparsepix_ops import reference

SIZES = {"t": 8, "s": 12, "m": 16, "l": 20}
# Presets, and what their authors call the data in the folders of the projects.
FOLDERS = {"neutrino": "neutrino", "jet": "jet", "mnist": "sparsemnist"}
MODELS = [(name, bits, size) for name in FOLDERS for bits in (8, 16) for size in SIZES]
UNROUNDED = {"input_format": None, "pool_format": None, "reciprocal_bits": None}
MNIST_FILE = "t10k-images*"
BATCH = 1000


@dataclass(frozen=True)
class Decisions:
    """A published model on some images, with and without the roundings that its training did not have.

    Args:
        exact: [E, K] logits without them.
        ours: [E, K] logits of the preset.
        decided: [E] the decisions to compare with.
    """

    exact: np.ndarray
    ours: np.ndarray
    decided: np.ndarray

    @property
    def flipped(self) -> list[int]:
        """The images whose decision is another one."""
        return np.flatnonzero(decisions(self.ours) != self.decided).tolist()

    @property
    def ties(self) -> list[int]:
        """The images on which the two largest logits are equal without any rounding of ours."""
        return np.flatnonzero(margins(self.exact) == 0).tolist()


def margins(logits: np.ndarray) -> np.ndarray:
    """[E] distances of logits [E, K] to another decision."""
    if logits.shape[1] == 1:
        return np.abs(logits[:, 0])
    ordered = np.sort(logits, axis=1)
    return ordered[:, -1] - ordered[:, -2]


def published_model(folder: Path, name: str, bits: int, size: str, **options: Any) -> SparseCNN:
    """A preset with the published weights, in float64."""
    model = getattr(sp.models, name)(SIZES[size], bits, bias_on="nonzero", **options)
    sp.compat.load_keras(model, folder / "weights" / f"{name}_sparse_{size}-{bits}b.h5")
    return model.double().eval()


def published_events(folder: Path, name: str, bits: int, size: str) -> tuple[np.ndarray, np.ndarray]:
    """Images [E, 1, H, W] in float32 and the stored probabilities [E, K] of a published model."""
    data = folder / "hls_proj" / FOLDERS[name] / f"model-{bits}b" / f"hls_sparse_{size}" / "tb_data"
    images = np.loadtxt(data / "tb_input_features.dat", dtype=np.float32)
    shape = getattr(sp.models, name)().input_shape
    return images.reshape(-1, *shape), np.loadtxt(data / "tb_output_predictions.dat", ndmin=2)


def unrounded(model: SparseCNN, images: np.ndarray) -> np.ndarray:
    """Logits [E, K] of a model in float64."""
    parts = range(BATCH, len(images), BATCH)
    with torch.no_grad():
        return np.concatenate([model(torch.from_numpy(part).double()).numpy() for part in np.split(images, parts)])


def in_integers(model: SparseCNN, images: np.ndarray) -> np.ndarray:
    """Logits [E, K] of the exported model, as its firmware computes them."""
    parts = range(BATCH, len(images), BATCH)
    with tempfile.TemporaryDirectory() as folder:
        exported = sp.export_onnx(model, Path(folder) / "model.onnx")
    return np.concatenate([reference.run(exported, part).real for part in np.split(images, parts)])


def on_published_events(folder: Path, name: str, bits: int, size: str) -> tuple[Decisions, np.ndarray]:
    """A model on its own events, and the differences [E] of its probabilities without rounding from the stored ones."""
    images, stored = published_events(folder, name, bits, size)
    exact = unrounded(published_model(folder, name, bits, size, **UNROUNDED), images)
    decided = decisions(stored - 0.5 if stored.shape[1] == 1 else stored)
    logits = torch.from_numpy(exact)
    probabilities = logits.sigmoid() if stored.shape[1] == 1 else logits.softmax(1)
    ours = in_integers(published_model(folder, name, bits, size), images)
    return Decisions(exact, ours, decided), np.abs(probabilities.numpy() - stored).max(1)


def on_images(folder: Path, name: str, bits: int, size: str, images: np.ndarray) -> Decisions:
    """A model on other images; its own decisions without rounding are those to compare with."""
    exact = unrounded(published_model(folder, name, bits, size, **UNROUNDED), images)
    return Decisions(exact, in_integers(published_model(folder, name, bits, size), images), decisions(exact))


def formats_of(name: str, bits: int) -> str:
    """The formats of a preset that the paper does not have."""
    architecture = getattr(sp.models, name)(bits=bits).architecture
    described = [str(f).split(", AP")[0] + ">" for f in (architecture.input_format, architecture.pool_format)]
    return f"{described[0]}, {described[1]}, {architecture.reciprocal_bits}"


def rows_of(found: Iterator[tuple[str, int, str, Decisions]], title: str, console: Console) -> dict[str, int]:
    """Print a table of models; returns how many decisions there are and how many changed, by the bits too."""
    table = Table(title=title, title_justify="left")
    table.add_column("model", no_wrap=True)
    for heading in ("images", "flipped", "outputs that differ", "by at most", "least margin"):
        table.add_column(heading, justify="right")
    table.add_column("input, pooled average, reciprocal bits", no_wrap=True)
    notes = []
    counts = dict.fromkeys(("decisions", "changed", "changed_8_bit", "changed_16_bit", "exact_ties"), 0)
    with console.status("") as status:
        for name, bits, size, result in found:
            model = f"{name} {bits} bit, {SIZES[size]}"
            status.update(model)
            difference, margin = np.abs(result.ours - result.exact).max(1), margins(result.exact)
            for key, more in (("decisions", len(margin)), ("exact_ties", len(result.ties))):
                counts[key] += more
            for key in ("changed", f"changed_{bits}_bit"):
                counts[key] += len(result.flipped)
            cells = (len(margin), len(result.flipped), int((difference > 0).sum()))
            numbers = [f"{cell:,}" for cell in cells] + [f"{difference.max():.4f}", f"{margin.min():.4f}"]
            table.add_row(model, *numbers, formats_of(name, bits))
            notes += [f"{model}: event {e} flips; its margin is {margin[e]:.4f}" for e in result.flipped]
            notes += [f"{model}: event {e} is an exact tie of two logits; the first wins" for e in result.ties]
    console.print(table)
    for note in notes:
        console.print(note)
    console.print(f"{counts['changed']:,} of {counts['decisions']:,} decisions changed")
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a checkout of github.com/hftsoi/sparse-pixels")
    parser.add_argument("--mnist", type=Path, metavar="FOLDER", help="MNIST's IDX files: the 10,000 test images too")
    add_output(parser, "published_decisions.json")
    options = parser.parse_args()
    console = Console(width=max(Console().width, 130), highlight=False)
    if not (options.folder / "weights").is_dir() or not (options.folder / "hls_proj").is_dir():
        console.print(f"{options.folder}: expected the folders weights and hls_proj of the published repository")
        return 2
    errors = []

    def events() -> Iterator[tuple[str, int, str, Decisions]]:
        for model in MODELS:
            found, error = on_published_events(options.folder, *model)
            errors.append((error.max(), int(error.argmax()), model))
            yield *model, found

    figures = {"published_events": rows_of(events(), "published models on their published events", console)}
    figures["published_events"]["largest_difference_of_a_stored_probability"] = max(errors)[0]
    figures["published_events"]["second_largest_difference"] = sorted(errors)[-2][0]
    for error, event, (name, bits, size) in sorted(errors)[-2:]:
        where = f"{name} {bits} bit, {SIZES[size]}, event {event}"
        console.print(f"without our roundings, stored probability differs by {error:.1e} at most in {where}")
    if options.mnist:
        paths = sorted(options.mnist.glob(MNIST_FILE))
        if not paths:
            console.print(f"{options.mnist}: expected MNIST's {MNIST_FILE}, found none")
            return 2
        images = prepare_images(read_idx(paths[0], 3)).astype(np.float32)
        models = [model for model in MODELS if model[0] == "mnist"]
        found = ((*model, on_images(options.folder, *model, images)) for model in models)
        figures["mnist"] = rows_of(found, "published models on MNIST's test images", console)
    if options.output:
        write_results(options.output, "published_decisions", figures)
    return 1 if figures["published_events"]["changed"] else 0


if __name__ == "__main__":
    sys.exit(main())
