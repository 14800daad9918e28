"""Random whole networks and images that hit the hard cases, for tests that go end to end."""

import re
from dataclasses import replace

import numpy as np
import onnxruntime as ort
import torch
from hypothesis import HealthCheck, Phase, reject
from hypothesis import strategies as st
from torch import nn

import sparsepix as sp
from sparsepix_ops import FixedArray, analyze, reference
from sparsepix_ops.fixed_points import FixedPoints

# Without shrinking: a failing network is small as it is, and each step would be another export.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
SETTINGS = {"deadline": None, "phases": PHASES, "suppress_health_check": list(HealthCheck)}
SMALL = st.integers(1, 3)


@st.composite
def formats(draw, signed=None, widths=(2, 10)):
    """A fixed-point format whose range is of the order of 1."""
    is_signed = draw(st.booleans()) if signed is None else signed
    width = draw(st.integers(*widths))
    integer = draw(st.integers(-1, 3)) + int(is_signed)
    rounding = draw(st.sampled_from(["ROUND", "ROUND", "FLOOR", "HALF_UP"]))
    return sp.FixedPoint(width, integer, is_signed, rounding, draw(st.sampled_from(["SAT"] * 5 + ["SAT_SYM", "WRAP"])))


@st.composite
def activation_formats(draw, places, widths=(2, 10)):
    """A format, or one in four times one for each place of the last axis, some of them without bits."""
    first = draw(formats(widths=widths))
    if draw(st.integers(0, 3)):
        return first
    more = [draw(st.one_of(formats(widths=(2, widths[1])), st.none())) for _ in range(places - 1)]
    modes = {"rounding": first.rounding, "overflow": first.overflow}
    return FixedPoints((first, *(format and replace(format, **modes) for format in more)))


class Sum(nn.Module):
    """Two branches, added."""

    def __init__(self, first, second):
        super().__init__()
        self.branches = nn.ModuleList([first, second])

    def forward(self, x):
        first, second = self.branches
        return first(x) + second(x)


class Beside(nn.Module):
    """Branches side by side, of pixels or of vectors."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        results = [branch(x) for branch in self.branches]
        return torch.cat(results, dim=1) if isinstance(results[0], torch.Tensor) else sp.concat(results)


@st.composite
def branches(draw, channels, out_channels, widths):
    """A branch on the same pixels: nothing but the input itself where that fits, or one or two convolutions."""
    if channels == out_channels and draw(st.booleans()):
        return nn.Identity()
    layers = []
    for _ in range(draw(st.integers(1, 2))):
        kernel = (draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 3, 5])))
        layers += [
            sp.SparseConv2d(channels, out_channels, kernel, weight_format=draw(formats(signed=True, widths=widths))),
            draw(st.sampled_from([sp.SparseReLU, sp.SparseIdentity]))(draw(formats(widths=widths))),
        ]
        channels = out_channels
    if draw(st.booleans()):
        layers.pop()  # sums of full width meet the other branch
    return nn.Sequential(*layers)


@st.composite
def joined(draw, channels, widths):
    """Branches that are joined, and the activation after them; and the channels of the result."""
    if draw(st.booleans()):
        sizes = [draw(st.integers(1, 2)) for _ in range(draw(st.integers(2, 3)))]
        parts = [draw(branches(channels, size, widths)) for size in sizes]
        return [Beside(*parts), *draw(st.sampled_from([[], [sp.SparseReLU(draw(formats(widths=widths)))]]))], sum(sizes)
    out_channels = draw(st.sampled_from([channels, channels, draw(SMALL)]))
    join = Sum(*(draw(branches(channels, out_channels, widths)) for _ in range(2)))
    activation = draw(st.sampled_from([sp.SparseReLU, sp.SparseIdentity]))(draw(formats(widths=widths)))
    return [join, activation], out_channels


@st.composite
def to_vector(draw, channels, area, widths):
    """A flatten, a global pool, or two of them side by side; and the number of features."""
    average = sp.SparseGlobalAvgPool2d(draw(st.integers(2, 12)), draw(formats(widths=widths)))
    maximum = sp.SparseGlobalMaxPool2d(draw(st.sampled_from(["active", "cell"])))
    kind = draw(st.sampled_from(["flatten", "flatten", "flatten", "average", "maximum", "both", "all"]))
    if kind == "both":
        return Beside(average, maximum), 2 * channels
    if kind == "all":
        return Beside(sp.SparseFlatten(), maximum), (area + 1) * channels
    found = {"flatten": sp.SparseFlatten(), "average": average, "maximum": maximum}[kind]
    return found, channels * (area if kind == "flatten" else 1)


class Heads(nn.Module):
    """Several outputs."""

    def __init__(self, heads):
        super().__init__()
        self.heads = nn.ModuleDict(heads)

    def forward(self, x):
        return {name: head(x) for name, head in self.heads.items()}


@st.composite
def heads(draw, features, widths):
    """Two or three outputs of a vector; one may be the vector itself."""
    found = {}
    for name in ("logits", "energy", "other")[: draw(st.integers(2, 3))]:
        linear = sp.QuantLinear(features, draw(SMALL), weight_format=draw(formats(signed=True, widths=widths)))
        quantized = nn.Sequential(linear, sp.QuantReLU(draw(formats(widths=widths))))
        found[name] = draw(st.sampled_from([linear, quantized, nn.Identity()]))
    return Heads(found)


@st.composite
def networks(draw, wide=False):
    """A random sparse CNN as a module, and its input shape (channels, height, width)."""
    widths = (8, 16) if wide else (2, 9)
    channels, height, width = draw(SMALL), draw(st.integers(4, 14)), draw(st.integers(4, 14))
    input_shape = (channels, height, width)
    n = draw(st.one_of(st.integers(1, min(12, height * width)), st.just(min(16, height * width))))
    layers = [
        sp.QuantIdentity(draw(formats(widths=widths))),
        sp.SparseInputReduce(
            n,
            threshold=draw(st.sampled_from([0.0, 0.0, 0.25, 0.3, -0.25])),
            activity=draw(st.sampled_from(["first", "any", "sum"])),
            selection=draw(st.sampled_from(["raster", "magnitude"])),
        ),
    ]
    for _ in range(draw(st.integers(0, 3))):
        if draw(st.integers(0, 2)):
            # Depthwise (as many groups as channels), in groups, or one filter for all channels.
            groups = draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
            out_channels = groups * draw(st.integers(1, max(3 // groups, 1)))
            kernel = (draw(st.sampled_from([1, 3, 5, 7])), draw(st.sampled_from([1, 3, 5])))
            stride = draw(st.sampled_from([(1, 1), (1, 1), (2, 2), (1, 3), (4, 2)]))
            bias_on = draw(st.sampled_from(["active", "nonzero"])) if stride == (1, 1) else "active"
            layers.append(
                sp.SparseConv2d(
                    channels,
                    out_channels,
                    kernel,
                    bias=draw(st.booleans()),
                    bias_on=bias_on,
                    weight_format=draw(formats(signed=True, widths=widths)),
                    bias_format=draw(formats(signed=True, widths=widths)),
                    batch_norm=bias_on == "active" and draw(st.booleans()),
                    groups=groups,
                    stride=stride,
                )
            )
            channels = out_channels
            height, width = (-(-size // step) for size, step in zip((height, width), stride, strict=True))
            activation = draw(st.sampled_from(["relu", "leaky", "identity", "none"]))
            if activation == "leaky":
                slope = 2.0 ** -draw(st.integers(1, 6))
                layers.append(sp.SparseLeakyReLU(slope, draw(st.one_of(st.none(), formats(widths=widths)))))
            elif activation == "relu":
                layers.append(sp.SparseReLU(draw(activation_formats(channels, widths))))
            elif activation == "identity":
                layers.append(sp.SparseIdentity(draw(activation_formats(channels, widths))))
            else:
                layers.append(sp.SparseReLU(None))
                layers.append(sp.SparseIdentity(draw(activation_formats(channels, widths))))
        if draw(st.integers(0, 2)) == 0:
            more, channels = draw(joined(channels, widths))
            layers += more
        if draw(st.integers(0, 2)) == 0:
            window = (draw(st.integers(1, min(3, height))), draw(st.integers(1, min(3, width))))
            if draw(st.booleans()):
                bits = draw(st.integers(2, 12))
                layers.append(sp.SparseAvgPool2d(window, bits, draw(formats(widths=widths))))
            else:
                layers.append(sp.SparseMaxPool2d(window, over=draw(st.sampled_from(["active", "cell"]))))
            height, width = height // window[0], width // window[1]
    pool, features = draw(to_vector(channels, height * width, widths))
    layers.append(pool)
    for _ in range(draw(st.integers(1, 2))):
        outputs = draw(st.integers(1, 4))
        layers.append(
            sp.QuantLinear(
                features,
                outputs,
                bias=draw(st.booleans()),
                weight_format=draw(formats(signed=True, widths=widths)),
                batch_norm=draw(st.booleans()),
            )
        )
        kind = draw(st.sampled_from([sp.QuantReLU, sp.QuantIdentity, sp.QuantLeakyReLU]))
        layers.append(kind(format=draw(activation_formats(outputs, widths))))
        features = outputs
        if draw(st.integers(0, 3)) == 0:
            skip = sp.QuantLinear(features, features, weight_format=draw(formats(signed=True, widths=widths)))
            join = draw(st.sampled_from([Sum, Beside]))
            features *= 2 if join is Beside else 1
            layers += [join(nn.Identity(), skip), sp.QuantIdentity(draw(formats(widths=widths)))]
    if draw(st.booleans()):
        layers.pop()  # logits as the sums are
    if draw(st.integers(0, 3)) == 0:
        layers.append(draw(heads(features, widths)))
    torch.manual_seed(draw(st.integers(0, 2**31)))
    model = nn.Sequential(*layers)
    with torch.no_grad():
        for parameter in model.parameters():
            # Weights that use the whole range of their formats, its ends included.
            parameter.copy_(torch.randn_like(parameter) * draw(st.sampled_from([0.3, 1.0, 4.0])))
        for name, statistic in model.named_buffers():
            if "running" in name:
                statistic.copy_(torch.randn_like(statistic).abs() + 0.1)
    return model.eval(), input_shape


def hard_images(rng, input_shape, count=24):
    """Images [count, C, H, W]: empty, full, corners, borders, ties, saturation, and random ones of any density."""
    _, height, width = input_shape
    density = rng.choice([0.01, 0.05, 0.2, 0.6], size=(count, 1, 1, 1))
    values = rng.normal(scale=rng.choice([0.5, 2.0, 100.0], size=(count, 1, 1, 1)), size=(count, *input_shape))
    values[::3] = np.round(values[::3] * 8) / 16  # on and between coarse grids: exact ties
    images = values * (rng.random((count, 1, height, width)) < density)
    images[0] = 0
    images[1] = np.abs(values[1])
    images[2] = 0
    images[2, :, [0, 0, -1, -1], [0, -1, 0, -1]] = 1.0
    images[3] = 0
    images[3, :, 0, :] = images[3, :, -1, :] = 0.75
    images[3, :, :, 0] = images[3, :, :, -1] = 0.5
    images[4] = 0.5
    return images.astype(np.float32)


def exported_if_narrow(model, path, input_shape):
    """Export; reject the example where it is rightly refused: leaky ReLUs and wide formats may add up to wide sums."""
    try:
        return sp.export_onnx(model, path, input_shape)
    except sp.SparsePixError as error:
        if not all(re.search(r"its \w+ needs? \d+ bits, more than", problem) for problem in error.problems):
            raise
        reject()


def exported_and_checked(model, input_shape, seed, path):
    """Export; compare torch, ONNX Runtime and the integer reference; return images and result (a dict of several)."""
    images = hard_images(np.random.default_rng(seed), input_shape)
    exported = exported_if_narrow(model, path, input_shape)
    outputs = [output.name for output in exported.graph.output]
    in_onnx = dict(zip(outputs, ort.InferenceSession(path).run(outputs, {"image": images}), strict=True))
    values = reference.run_all(exported, images)
    in_integers = {name: values[name].real for name in outputs}
    # The ranges that set the widths of the firmware hold every value that came up.
    for name, value in analyze(exported).values.items():
        if value.range is not None and isinstance(values[name], FixedArray):
            assert value.range.exponent == values[name].exponent
            assert value.range.hull(values[name].range) == value.range, name
    with torch.no_grad():
        assert not differing(model.double()(torch.from_numpy(images).double()), in_integers)
        assert not differing(in_onnx, in_integers)
        if exported.graph.node[0].op_type != "Cast":
            assert not differing(model.float()(torch.from_numpy(images)), in_integers)
    return images, in_integers if len(outputs) > 1 else in_integers["output"]


def by_name(results):
    """Results by the names of the outputs, also where there is one."""
    return results if isinstance(results, dict) else {"output": results}


def differing(found, expected):
    """Numbers that differ, in all outputs."""
    found, expected = by_name(found), by_name(expected)
    assert list(found) == list(expected)
    wrong = 0
    for name, values in found.items():
        assert values.shape == expected[name].shape, name
        wrong += int((np.asarray(values) != expected[name]).sum())
    return wrong


def size(results):
    """Numbers, in all outputs."""
    return sum(values.size for values in by_name(results).values())
