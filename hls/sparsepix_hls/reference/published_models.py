"""The sparse models that were published with SparsePixels (arXiv 2512.06208), as figures to compare with.

Latency and interval from C synthesis, resources after Vivado's logic synthesis: Vitis HLS and Vivado 2023.1, part
xcu250-figd2104-2L-e, clock 5 ns.
"""

from dataclasses import dataclass

from sparsepix_hls.ir.graph import Graph
from sparsepix_hls.layers.activation import Activation
from sparsepix_hls.layers.dense import Dense
from sparsepix_hls.layers.input_reduce import InputReduce, input_reduce
from sparsepix_hls.layers.sparse_avg_pool2d import SparseAvgPool2d
from sparsepix_hls.layers.sparse_conv2d import SparseConv2d
from sparsepix_hls.layers.sparse_flatten import SparseFlatten

ARCHITECTURES = {
    "jet": "56x56x1 conv9(1->3) relu conv9(3->1) relu avgpool4 flatten dense20 relu dense5",
    "neutrino": "63x63x1 conv7(1->1) relu conv7(1->3) relu avgpool7 flatten dense16 relu dense1",
    "mnist": "48x48x1 conv7(1->1) relu avgpool4 conv5(1->3) relu avgpool2 flatten dense36 relu dense10",
}


@dataclass(frozen=True)
class PublishedModel:
    """A published design.

    Args:
        dataset: 'neutrino', 'jet' or 'mnist'.
        bits: width of weights and features.
        max_pixels: slots of the list.
        latency_cycles, interval_cycles: of the whole model.
        lut, ff, dsp: after logic synthesis.
        bram: memory blocks of 18 kbit.
    """

    dataset: str
    bits: int
    max_pixels: int
    latency_cycles: int
    interval_cycles: int
    lut: int
    ff: int
    dsp: int
    bram: int


PUBLISHED_MODELS = (
    PublishedModel("jet", 16, 20, 143, 84, 453_111, 210_467, 6_681, 213),
    PublishedModel("jet", 16, 16, 120, 67, 393_020, 180_965, 5_508, 160),
    PublishedModel("jet", 16, 12, 101, 52, 352_116, 162_496, 4_620, 131),
    PublishedModel("jet", 16, 8, 78, 35, 316_649, 145_197, 3_958, 74),
    PublishedModel("jet", 8, 20, 140, 84, 421_014, 116_104, 5, 197),
    PublishedModel("jet", 8, 16, 119, 67, 323_718, 98_975, 5, 162),
    PublishedModel("jet", 8, 12, 97, 52, 255_724, 85_985, 5, 55),
    PublishedModel("jet", 8, 8, 75, 35, 201_151, 75_725, 5, 21),
    PublishedModel("neutrino", 16, 20, 136, 84, 482_468, 209_627, 4_751, 115),
    PublishedModel("neutrino", 16, 16, 116, 67, 427_037, 190_038, 4_175, 91),
    PublishedModel("neutrino", 16, 12, 94, 52, 380_662, 173_889, 3_719, 67),
    PublishedModel("neutrino", 16, 8, 71, 35, 345_516, 156_952, 3_434, 43),
    PublishedModel("neutrino", 8, 20, 133, 84, 362_637, 110_212, 60, 78),
    PublishedModel("neutrino", 8, 16, 111, 67, 287_361, 96_764, 48, 70),
    PublishedModel("neutrino", 8, 12, 90, 52, 222_475, 84_960, 36, 57),
    PublishedModel("neutrino", 8, 8, 69, 35, 184_216, 78_863, 24, 1),
    PublishedModel("mnist", 16, 20, 150, 84, 406_231, 175_132, 4_507, 120),
    PublishedModel("mnist", 16, 16, 127, 67, 348_664, 153_435, 3_969, 96),
    PublishedModel("mnist", 16, 12, 106, 52, 299_619, 134_686, 3_547, 72),
    PublishedModel("mnist", 16, 8, 81, 35, 263_198, 122_160, 3_249, 48),
    PublishedModel("mnist", 8, 20, 146, 84, 325_058, 96_859, 10, 92),
    PublishedModel("mnist", 8, 16, 124, 67, 258_747, 83_874, 10, 69),
    PublishedModel("mnist", 8, 12, 104, 52, 210_235, 75_175, 10, 50),
    PublishedModel("mnist", 8, 8, 79, 35, 174_830, 67_772, 10, 6),
)


def architecture(graph: Graph) -> str:
    """A model in the words of ``ARCHITECTURES``; layers that they have no word for appear by their name."""
    channels, height, width = graph.input.shape
    words = [f"{height}x{width}x{channels}"]
    for layer in graph.layers:
        match layer:
            case InputReduce():
                continue
            case SparseConv2d():
                words.append(f"conv{_side(layer.kernel_size)}({layer.features.shape[1]}->{layer.output.shape[1]})")
            case SparseAvgPool2d():
                words.append(f"avgpool{_side(layer.kernel_size)}")
            case SparseFlatten():
                words.append("flatten")
            case Dense():
                words.append(f"dense{layer.output.shape[0]}")
            case Activation():
                words += ["relu"] if layer.relu else []  # roundings have no word
            case _:
                words.append(type(layer).__name__)
    return " ".join(words)


def find_published(graph: Graph) -> PublishedModel | None:
    """The published design of the same architecture, weight width and number of pixels, if there is one."""
    found = architecture(graph)
    datasets = [name for name, words in ARCHITECTURES.items() if words == found]
    widths = {layer.weight.type.width for layer in graph.layers if isinstance(layer, SparseConv2d | Dense)}
    slots = input_reduce(graph).max_pixels
    for model in PUBLISHED_MODELS:
        if model.dataset in datasets and model.max_pixels == slots and widths == {model.bits}:
            return model
    return None


def _side(kernel_size: tuple[int, int]) -> str:
    height, width = kernel_size
    return str(height) if height == width else f"{height}x{width}"
