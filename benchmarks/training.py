"""One training step of the neutrino model: sparse layers against dense layers times a mask, learned against plain.

    python benchmarks/training.py                 # 8-bit formats and float, medians and ratios
    python benchmarks/training.py --compile       # the same under torch.compile
    python benchmarks/training.py --output FOLDER # and training.json there

A step is forward, loss, backward and Adam of the whole preset. Both models of the first table hold the same weights and
quantizers and see the same images; their losses are compared before anything is timed. The second table is of 8-bit
models: with fixed formats, with batch norm, and those that learn their budget, threshold or widths, with the penalties
in the loss that push them. The models
take turns of a few steps, so that a slow spell of the machine hits all; a step after one of another model, which left
other memory in the caches, is not timed.
"""

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from results import Figures, add_output, key, write_results
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F

import sparsepix as sp
from sparsepix.nn.batch_norm import freeze_statistics

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))
import dense

SIDE, WINDOW = 63, 7
TURN = 4  # timed steps of a model before the next one's


class DenseAndMask(nn.Module):
    """The neutrino preset computed on whole images: its own parameters and quantizers, dense layers, masks.

    The mask is found the fast way: this baseline is about the layers, not about sorting.

    Args:
        model: the sparse preset, which is copied.
        channels_last: layout of the images. torch's own is the other one, in which the gradient of a convolution of one
            channel takes several times as long on a CPU.
    """

    def __init__(self, model: nn.Module, channels_last: bool) -> None:
        super().__init__()
        self.sparse = copy.deepcopy(model)
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format

    def forward(self, image: Tensor) -> Tensor:
        """Images [B, 1, 63, 63] to logits [B, 1]."""
        model = self.sparse
        image = model.input_quant(image)
        kept = model.reduce(image)
        mask = kept.replace(torch.ones_like(kept.features)).to_dense() > 0
        x = image * mask
        for conv, relu in ((model.conv1, model.relu1), (model.conv2, model.relu2)):
            weight, bias = conv.weight_quantizer(conv.weight), conv.bias_quantizer(conv.bias)
            x = x.to(memory_format=self.memory_format)
            x = relu.quantizer(F.relu(dense.conv_and_mask(x, mask, weight, bias)))
        x = model.pool1.quantizer(dense.avg_pool(x, (WINDOW, WINDOW), model.pool1.reciprocal_bits))
        return model.dense2(model.relu3(model.dense1(dense.flatten(x))))


def make_images(batch: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images [batch, 1, 63, 63] with about 0.6 % of their pixels active (as the neutrino data), and labels."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(batch, 1, SIDE, SIDE, generator=generator) * 4
    image = values * (torch.rand(values.shape, generator=generator) < 0.006)
    return image, torch.randint(0, 2, (batch, 1), generator=generator).float()


def training_step(
    model: nn.Module, image: Tensor, label: Tensor, penalties: Sequence[str] = ()
) -> Callable[[], Tensor]:
    """A function that makes one training step and returns the loss before it.

    Args:
        model: compiled or not.
        image: of the step.
        label: of the step.
        penalties: names of those that are added to the loss.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = F.binary_cross_entropy_with_logits(model(image), label)
        if penalties:
            values = sp.penalties(model, penalties)
            # A weight of nearly nothing: the costs of a step are the same, and the budget stays where it is.
            loss = loss + sum(1e-9 * values[name] for name in penalties)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def time_steps(name: str, steps: Sequence[Callable[[], Tensor]], count: int) -> list[list[float]]:
    """Milliseconds of each of ``count`` runs of each step, in turns of some runs."""
    times: list[list[float]] = [[] for _ in steps]
    for _ in track(range(-(-count // TURN)), description=name, transient=True):
        for step, spent in zip(steps, times, strict=True):
            for _ in range(2):  # after them the caches and the heap are as in a training of this model
                step()
            for _ in range(TURN):
                start = time.perf_counter()
                step()
                spent.append(1e3 * (time.perf_counter() - start))
    return times


def ratios(slow: list[float], fast: list[float]) -> dict[str, float | list[float]]:
    """Median and quartiles of the ratios of steps of the same turn."""
    found = [a / b for a, b in zip(slow, fast, strict=True)]
    return {"ratio": statistics.median(found), "ratio_quartiles": statistics.quantiles(found)[::2]}


def compare(name: str, bits: int | None, options: argparse.Namespace) -> list[dict]:
    """Time the sparse model and its dense counterpart in both layouts; the median of steps of the same turn counts."""
    image, label = make_images(options.batch, seed=0)
    torch.manual_seed(0)
    sparse = sp.models.neutrino(options.max_pixels, bits)
    masked = [DenseAndMask(sparse, channels_last) for channels_last in (False, True)]
    with torch.no_grad():
        for model in masked:
            torch.testing.assert_close(sparse(image), model(image))
    models = [torch.compile(model) if options.compile else model for model in (sparse, *masked)]
    times = time_steps(name, [training_step(model, image, label) for model in models], options.steps)
    return [
        {
            "name": f"{name}, {layout}",
            "sparse_ms": statistics.median(times[0]),
            "dense_and_mask_ms": statistics.median(slow),
            **ratios(slow, times[0]),
        }
        for layout, slow in zip(("torch's layout", "channels last"), times[1:], strict=True)
    ]


# The halves of the recipe (see ``fit``).
IN_FLOAT, CALIBRATED = "batch norm, before the calibration", "batch norm, after it"
SELECTION = {"learn_max_pixels": True, "learn_threshold": True}
# Name, options of the preset, penalties in the loss, name of the row that it is compared with.
LEARNED: list[tuple[str, dict, tuple[str, ...], str]] = [
    ("plain", {}, (), "plain"),
    ("fixed formats", {"formats": "paper"}, (), "plain"),
    (IN_FLOAT, {"batch_norm": True}, (), "plain"),
    (CALIBRATED, {"batch_norm": True}, (), "plain"),
    ("batch norm, statistics of the batch", {"batch_norm": True}, (), "plain"),
    ("budget, threshold", SELECTION, ("budget", "masked_intensity"), "plain"),
    ("budget, threshold, EBOPS", SELECTION, ("budget", "masked_intensity", "ebops"), "plain"),
    ("widths", {"learn_bits": True}, ("ebops",), "plain"),
    ("budget, threshold, widths", SELECTION | {"learn_bits": True}, ("budget", "masked_intensity", "ebops"), "plain"),
    ("plain, magnitude", {"selection": "magnitude"}, (), "plain, magnitude"),
    (
        "budget, threshold, magnitude",
        SELECTION | {"selection": "magnitude"},
        ("budget", "masked_intensity"),
        "plain, magnitude",
    ),
]


def compare_learned(options: argparse.Namespace) -> list[dict]:
    """Time 8-bit models that learn more than weights against plain ones."""
    image, label = make_images(options.batch, seed=0)
    steps, bypass = [], ExitStack()
    for name, preset, penalties, _ in LEARNED:
        torch.manual_seed(0)
        model = sp.models.neutrino(options.max_pixels, 8, **preset)
        if name == IN_FLOAT:
            bypass.enter_context(sp.unquantized(model))
        elif name == CALIBRATED:
            freeze_statistics(model)
        steps.append(training_step(torch.compile(model) if options.compile else model, image, label, penalties))
    times = dict(zip((name for name, *_ in LEARNED), time_steps("learned", steps, options.steps), strict=True))
    return [
        {"name": name, "ms": statistics.median(times[name]), "against": plain, **ratios(times[name], times[plain])}
        for name, _, _, plain in LEARNED
    ]


def tables(results: list[dict], learned: list[dict], options: argparse.Namespace) -> list[Table]:
    """Both tables."""
    title = f"one training step, batch {options.batch}, N = {options.max_pixels}, {SIDE}x{SIDE} images"
    first, second = (
        Table(title=title),
        Table(title=f"{title}, 8 bit: what the recipe and learning more than weights cost"),
    )
    for heading in ("", "sparse [ms]", "dense and mask [ms]", "ratio", "quartiles"):
        first.add_column(heading, justify="right")
    for heading in ("learned", "step [ms]", "against", "ratio", "quartiles"):
        second.add_column(heading, justify="right")
    for result in results:
        low, high = result["ratio_quartiles"]
        times = (f"{result['sparse_ms']:.2f}", f"{result['dense_and_mask_ms']:.1f}")
        first.add_row(result["name"], *times, f"{result['ratio']:.1f}", f"{low:.1f} ... {high:.1f}")
    for result in learned:
        low, high = result["ratio_quartiles"]
        row = (result["name"], f"{result['ms']:.2f}", result["against"], f"{result['ratio']:.2f}")
        second.add_row(*row, f"{low:.2f} ... {high:.2f}")
    return [first, second]


def figures_of(results: list[dict], learned: list[dict], options: argparse.Namespace) -> Figures:
    """Both tables as figures."""
    settings = {"threads": torch.get_num_threads(), "batch": options.batch, "max_pixels": options.max_pixels}
    rows = {}
    for row in (*results, *learned):
        low, high = row["ratio_quartiles"]
        numbers = {name: value for name, value in row.items() if isinstance(value, float)}
        rows[key(row["name"])] = numbers | {"ratio_first_quartile": low, "ratio_third_quartile": high}
    return settings | rows


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128, help="images a step (default 128)")
    parser.add_argument("--max-pixels", type=int, default=20, help="slots an image (default 20)")
    parser.add_argument("--steps", type=int, default=40, help="timed steps of each model (default 40)")
    parser.add_argument("--threads", type=int, default=None, help="torch threads (default: torch's own)")
    parser.add_argument("--compile", action="store_true", help="all models under torch.compile")
    add_output(parser, "training.json")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)

    results = [row for name, bits in {"8 bit": 8, "float": None}.items() for row in compare(name, bits, options)]
    learned = compare_learned(options)
    for table in tables(results, learned, options):
        Console().print(table)
    if options.output:
        name = f"training_threads_{options.threads}" if options.threads else "training"
        write_results(options.output, name, figures_of(results, learned, options))


if __name__ == "__main__":
    main()
