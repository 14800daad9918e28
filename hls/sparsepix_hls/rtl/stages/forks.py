"""Queues between a layer of a stream and those that read what it makes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparsepix_hls.rtl.stages.gathering import LUT_WORDS
from sparsepix_hls.rtl.stages.links import Link
from sparsepix_hls.rtl.stages.text import instance

QUEUE_PLACES = 8  # of a queue that need not hold an event: its words come back as places five clocks later


@dataclass(frozen=True)
class Queue:
    """Pixels that wait.

    Args:
        places: of the queue.
        bits: of a word.
    """

    places: int
    bits: int

    @property
    def in_blocks(self) -> bool:
        """Whether it is block memory, not LUTs."""
        return self.places > LUT_WORDS


def fork_lines(link: Link, prefix: str, queues: Mapping[str, Queue]) -> list[str]:
    """A queue for each reader of a stream; a pixel comes in when all of them have a place for it.

    Args:
        link: the stream.
        prefix: of its wires.
        queues: by the prefix of the wires to their readers.
    """
    clock = {n: n for n in ("clk", "rst_n")}
    lines = [f"  wire [{len(queues) - 1}:0] {prefix}_free;", f"  assign {prefix}_ready = &{prefix}_free;"]
    for number, (reader, queue) in enumerate(queues.items()):
        sent = f"{prefix}_valid && {prefix}_ready"
        lines += link.wires(reader)
        lines += instance(
            "stream_credit",
            f"{reader}_credit",
            {"PLACES": queue.places},
            clock | {"sent": sent, "taken": f"{reader}_valid && {reader}_ready", "free": f"{prefix}_free[{number}]"},
        )
        lines += instance(
            "stream_queue",
            f"{reader}_queue",
            {"BITS": queue.bits, "PLACES": queue.places, "IS_BLOCK": int(queue.in_blocks)},
            clock
            | {
                "in_valid": sent,
                "in_word": link.word(prefix),
                "out_valid": f"{reader}_valid",
                "out_ready": f"{reader}_ready",
                "out_word": link.word(reader),
            },
        )
    return lines


def queues_of(link: Link, readers: Sequence[int], places: Mapping[tuple[str, int], int]) -> dict[int, Queue]:
    """The queues of a list's readers, by their numbers; none where one reader needs no more than what is there.

    Args:
        link: the stream.
        readers: numbers of the parts that read it.
        places: of queues that have to hold events, by the list and the number of the part.
    """
    name = link.features.name
    if len(readers) == 1 and (name, readers[0]) not in places:
        return {}
    return {n: Queue(max(places.get((name, n), 0), QUEUE_PLACES), link.word_bits) for n in readers}
