"""Every way to build a model, and a few of them that cover every pair of choices."""

import itertools
from dataclasses import replace

import sparsepix_hls
from sparsepix_hls.design.checks import stream_problems
from sparsepix_hls.design.options import Options
from sparsepix_hls.design.rewrites import lookup_partner, overlap_candidate
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.layers.input_reduce import input_reduce
from sparsepix_hls.layers.sparse_flatten import SparseFlatten

CHOICES = {
    "reduce": ["scan", "scan of two", "stream", "tree"],
    "conv": ["pairs", "gather", "overlap"],
    "flatten": ["scatter", "lookup"],
    "dense": ["multiply", "adders"],
    "reuse_factor": [1, 2, 3, "N"],
    "io": ["parallel", "stream"],
}


def possible(values):
    """Whether so many first choices, in the order of ``CHOICES``, can go together."""
    chosen = dict(zip(CHOICES, values, strict=False))
    return chosen.get("conv") != "overlap" or chosen["reduce"].startswith("scan")


def options_of(values, max_pixels, pixels_per_cycle, raster=True):
    """The options of one combination; a selection by magnitude can only be scanned."""
    chosen = dict(zip(CHOICES, values, strict=True))
    if chosen["reuse_factor"] == "N":
        chosen["reuse_factor"] = max_pixels
    if chosen["reduce"] == "scan of two":
        chosen |= {"reduce": "scan", "scan_pixels": 2}
    if not raster:
        chosen["reduce"] = "scan"
    if "stream" in (chosen["reduce"], chosen["io"]):
        chosen["pixels_per_cycle"] = pixels_per_cycle
    return Options(**chosen)


def every():
    """All combinations."""
    return [values for values in itertools.product(*CHOICES.values()) if possible(values)]


def pairs_of(values):
    """The pairs of choices in one combination."""
    return {((i, a), (j, b)) for (i, a), (j, b) in itertools.combinations(enumerate(values), 2)}


def covering():
    """Combinations in which every pair of choices that can go together occurs: each next one adds most."""
    left = set().union(*map(pairs_of, every()))
    found = []
    while left:
        found.append(max(every(), key=lambda values: len(pairs_of(values) & left)))
        left -= pairs_of(found[-1])
    return found


def nearest(graph, options, of_largest=("scan",)):
    """The options with what a model cannot have left to the translator; ``of_largest`` as in ``Backend``."""
    flattens = [layer for layer in graph.layers if isinstance(layer, SparseFlatten)]
    if options.conv == "overlap" and overlap_candidate(graph) is None:
        options = replace(options, conv="auto")
    if options.flatten == "lookup" and not all(lookup_partner(graph, layer) for layer in flattens):
        options = replace(options, flatten="auto")
    if options.reduce not in (*of_largest, "auto") and input_reduce(graph).selection != "raster":
        parallel = options.io == "parallel"
        options = replace(options, reduce="scan", pixels_per_cycle=None if parallel else options.pixels_per_cycle)
    if options.conv == "stream" and stream_problems(graph, options):
        options = replace(options, conv="auto")
    return options


def build(path, folder, values, pixels_per_cycle):
    """Translate one combination; where the model cannot have it, its nearest one."""
    graph = read_model(path).graph
    reduce = input_reduce(graph)
    _, height, width = graph.input.shape
    pixels = min(pixels_per_cycle, height * width)
    options = options_of(values, reduce.max_pixels, pixels, reduce.selection == "raster")
    return sparsepix_hls.translate(path, folder, options=nearest(graph, options))
