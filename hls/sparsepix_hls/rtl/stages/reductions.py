"""The input reduction by stream, and what it has in common with the scan."""

import math

from sparsepix_hls.design.layout import Design
from sparsepix_hls.design.schedule import Stage
from sparsepix_hls.layers.input_reduce import key_digits
from sparsepix_hls.rtl.lower.function import Field
from sparsepix_hls.rtl.lower.ports import title
from sparsepix_hls.rtl.stages.arrays import Arrays
from sparsepix_hls.rtl.stages.text import bits_for, instance, module_text, port, ports

RULES = {"first": 0, "any": 1, "sum": 2}


def image_parameters(arrays: Arrays) -> dict[str, int]:
    """What both reductions are told of the image."""
    reduce = arrays.design.input_reduce
    channels, height, width = reduce.image.shape
    return {
        "HEIGHT": height,
        "WIDTH": width,
        "CHANNELS": channels,
        "BITS": reduce.image.type.width,
        "IS_SIGNED": int(reduce.image.type.signed),
        "THRESHOLD": reduce.threshold_raw,
        "RULE": RULES[reduce.activity],
        "MAX_PIXELS": reduce.max_pixels,
        "COORD_BITS": reduce.coords.type.width,
    }


def beat_field(arrays: Arrays, pixels: int) -> Field:
    """A beat of the image: pixels in row-major order, channels side by side."""
    reduce = arrays.design.input_reduce
    return Field("pixels", (pixels, reduce.image.shape[0]), reduce.image.type)


def input_pixels(arrays: Arrays) -> int:
    """Pixels of a beat of the model's input port: the whole image, or what a stream brings."""
    _, height, width = arrays.design.graph.input.shape
    return height * width if arrays.design.io == "parallel" else arrays.design.pixels_per_cycle


def scan_start(design: Design) -> int:
    """Clocks from the first beat of an image until a scan of it begins: 0 if it comes at once and none is dropped."""
    reduce = design.input_reduce
    beats = design.beats if design.io == "stream" else 1
    if reduce.selection == "magnitude":
        return beats + 1 + 4 * key_digits(reduce)
    return beats if beats > 1 else 0


def scan_hold(design: Design) -> int:
    """Clocks after the last beat of an image in which a scan takes no other: it still reads the image.

    An image that comes at once, of which none is dropped, is taken in the clock of the last pixels of the one before.
    """
    reduce = design.input_reduce
    rounds = -(-reduce.max_pixels // design.scan_pixels) + design.scan_pixels
    if reduce.selection == "magnitude":
        return rounds + 1 + 4 * key_digits(reduce)
    return rounds


def scan_interval(design: Design) -> int:
    """Clocks between the last beats of two images of a scan."""
    return scan_hold(design) + (design.beats if design.io == "stream" else 1)


def largest_tail(design: Design) -> int:
    """Clocks from the last beat of an image until a stream has the list of its largest pixels."""
    return (design.pixels_per_cycle - 1).bit_length() + design.input_reduce.max_pixels + 5


def stream_cuts(arrays: Arrays, levels: float) -> int:
    """Registers within the last clock of a stream, so that none of its steps has more levels of LUTs than that.

    The number of the first slot is an adder and a comparison; what comes to a slot is picked from the entries of a
    beat, and its row is an adder; then it is joined to the list. Lists of the largest pixels have none.
    """
    if arrays.design.input_reduce.selection == "magnitude":
        return 0
    place, pick, join = 2.9, math.log(max(arrays.design.pixels_per_cycle, 2), 6) + 1.9, 0.6
    if place + pick + join <= levels:
        return 0
    return 1 if pick + join <= levels else 2


def stream_module(name: str, arrays: Arrays, stage: Stage, cuts: int) -> tuple[tuple[Field, ...], str]:
    """A streaming reduction; a whole image at once is cut into beats first."""
    reduce = arrays.design.input_reduce
    pixels = arrays.design.pixels_per_cycle
    given = beat_field(arrays, input_pixels(arrays))
    beat = beat_field(arrays, pixels)
    beats, size = arrays.design.beats, reduce.max_pixels
    outputs = [arrays.field(array) for array in stage.outputs]
    lines = ["  wire beat_valid;", f"  {port('wire', beat, 'beat_')};"]
    if given.bits == beat.bits:
        lines += [
            "  assign beat_valid = in_valid;",
            "  assign beat_pixels = in_pixels;",
        ]
    else:
        lines += instance(
            "image_beats",
            "beats",
            {"IMAGE_BITS": given.bits, "BEAT_BITS": beat.bits, "BEATS": beats},
            {
                **{n: n for n in ("clk", "rst_n", "in_valid")},
                "in_image": "in_pixels",
                **{n: n for n in ("beat_valid", "beat_pixels")},
            },
        )
    features, coords = arrays.field(reduce.features), arrays.field(reduce.coords)
    lines += [f"  {port('wire', features, 'list_')};", f"  {port('wire', coords, 'list_')};"]
    parameters = image_parameters(arrays) | {"BEAT_PIXELS": pixels, "BEATS": beats}
    largest = reduce.selection == "magnitude"
    if not largest:
        parameters |= {"COUNT_BITS": bits_for(size + 1), "CUTS": cuts}
    lines += instance(
        "reduce_largest" if largest else "reduce_stream",
        "reduce",
        parameters,
        {
            **{n: n for n in ("clk", "rst_n")},
            "in_valid": "beat_valid",
            "in_pixels": "beat_pixels",
            "out_valid": "out_valid",
            "features": f"list_{features.name}",
            "coords": f"list_{coords.name}",
        },
    )
    lines += [f"  assign out_{field.name} = list_{field.name};" for field in outputs]
    text = module_text(name, f"Input reduction by stream: {title(stage.steps)}", ports([given], outputs), lines)
    return (given,), text
