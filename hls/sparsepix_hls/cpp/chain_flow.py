"""The processes of a stream of pixels as C++, and the streams between them."""

from collections.abc import Mapping
from dataclasses import dataclass

from sparsepix_hls.design.layout import Design
from sparsepix_hls.design.schedule import Stage
from sparsepix_hls.ir.dims import index_bits
from sparsepix_hls.ir.stream_graph import StreamPart, readers_of, stream_parts, waiting_places
from sparsepix_hls.ir.streams import Size, held
from sparsepix_hls.ir.tensors import Tensor

_IN_PROCESS = 16  # pixels in the pipeline of a process and in the streams around it, at most


@dataclass(frozen=True)
class Link:
    """A stream from one process to the next.

    Args:
        features: of its pixels.
        grid: rows and columns of the image that they lie on.
    """

    features: Tensor
    grid: Size

    @property
    def sizes(self) -> str:
        """Template arguments of what is put into it."""
        return f"{self.grid[0]}, {self.grid[1]}"

    @property
    def pixels(self) -> int:
        """Of an event, at most."""
        return min(self.features.shape[0], self.grid[0] * self.grid[1])

    @property
    def word(self) -> str:
        """Type of a word."""
        return f"sparsepix::Pixel<{self.features.name}_t, {self.features.shape[1]}, {self.sizes}>"

    @property
    def stream(self) -> str:
        """Type of the stream."""
        return f"hls::stream<{self.word}>"

    @property
    def word_bits(self) -> int:
        """Bits of a word."""
        channels, kind = self.features.shape[1], self.features.type
        return channels * kind.width + sum(index_bits(size) for size in self.grid) + 1

    @property
    def name(self) -> str:
        """Of the stream."""
        return f"{self.features.name}_pixels"


@dataclass(frozen=True)
class Flow:
    """The processes of a stream and what is between them.

    Args:
        parts: the layers.
        links: the lists, that of the input reduction first, by the names of their features.
        readers: numbers of the parts that read a list, by its name.
        places: of streams that hold more than those between two processes do, by the list and the number of the part.
    """

    parts: tuple[StreamPart, ...]
    links: Mapping[str, Link]
    readers: Mapping[str, list[int]]
    places: Mapping[tuple[str, int], int]

    def stream_to(self, name: str, number: int) -> str:
        """The stream from a list to a part; where several read it, each has its own."""
        several = len(self.readers[name]) > 1
        return self.links[name].name + (f"_to_{self.parts[number].layers[0].name}" if several else "")


def flow_of(stage: Stage, design: Design) -> Flow:
    """The processes of a stage whose pixels go one by one from layer to layer."""
    reduce, parts = design.input_reduce, stream_parts(stage.steps)
    links = {reduce.features.name: Link(reduce.features, reduce.image.shape[1:])}
    holds = {}
    for part in parts:
        streamed, own = part.layers[0].streamed(), links[part.reads[-1].name]
        assert streamed is not None
        holds[part.result.name] = held(streamed.gathers, own.pixels, own.grid) + _IN_PROCESS
        if not part.ends:
            links[part.result.name] = Link(part.result, streamed.grid_after(own.grid))
    places = waiting_places(parts, {name: link.pixels for name, link in links.items()}, holds)
    return Flow(tuple(parts), links, readers_of(parts), places)


def streams(flow: Flow, name: str) -> list[str]:
    """The streams of a list: to the layer that reads it, or to a process that gives each reader its own."""
    link, lines = flow.links[name], []
    for number in flow.readers[name]:
        stream = flow.stream_to(name, number)
        lines.append(f"  {link.stream} {stream};")
        if (name, number) in flow.places:
            lines.append(f"#pragma HLS STREAM variable = {stream} depth = {flow.places[name, number]}")
    return lines if len(flow.readers[name]) == 1 else [f"  {link.stream} {link.name};", *lines]


def chain_queues(stage: Stage, design: Design) -> list[tuple[int, int]]:
    """Places and bits of a word of the streams that hold more than those between two processes do."""
    flow = flow_of(stage, design)
    return [(places, flow.links[name].word_bits) for (name, _), places in flow.places.items()]
