"""Random whole networks and images that hit the hard cases, for tests that go end to end."""

import numpy as np
import onnxruntime as ort
import torch
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from torch import nn

import sparsepix as sp
from sparsepix_ops import FixedArray, analyze, integer

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
    return sp.FixedPoint(width, integer, is_signed, draw(st.sampled_from(["ROUND", "FLOOR"])))


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
                layers.append(sp.SparseReLU(draw(formats(widths=widths))))
            elif activation == "identity":
                layers.append(sp.SparseIdentity(draw(formats(widths=widths))))
            else:
                layers.append(sp.SparseReLU(None))
                layers.append(sp.SparseIdentity(draw(formats(widths=widths))))
        if draw(st.integers(0, 2)) == 0:
            window = (draw(st.integers(1, min(3, height))), draw(st.integers(1, min(3, width))))
            if draw(st.booleans()):
                bits = draw(st.integers(2, 12))
                layers.append(sp.SparseAvgPool2d(window, bits, draw(formats(widths=widths))))
            else:
                layers.append(sp.SparseMaxPool2d(window, over=draw(st.sampled_from(["active", "cell"]))))
            height, width = height // window[0], width // window[1]
    layers.append(sp.SparseFlatten())
    features = height * width * channels
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
        layers.append(kind(format=draw(formats(widths=widths))))
        features = outputs
    if draw(st.booleans()):
        layers.pop()  # logits as the sums are
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


def exported_and_checked(model, input_shape, seed, path):
    """Export; compare torch, ONNX Runtime and the integer reference; return images and result."""
    images = hard_images(np.random.default_rng(seed), input_shape)
    exported = sp.export_onnx(model, path, input_shape)
    with torch.no_grad():
        in_torch = model.double()(torch.from_numpy(images).double()).numpy()
    in_onnx = ort.InferenceSession(path).run(None, {"image": images})[0]
    values = integer.run_all(exported, images)
    in_integers = values["output"].real
    # The ranges that set the widths of the firmware hold every value that came up.
    for name, value in analyze(exported).values.items():
        if value.range is not None and isinstance(values[name], FixedArray):
            assert value.range.exponent == values[name].exponent
            assert value.range.hull(values[name].range) == value.range, name
    assert_array_equal(in_torch, in_integers)
    assert_array_equal(in_onnx, in_integers)
    if exported.graph.node[0].op_type != "Cast":
        with torch.no_grad():
            assert_array_equal(model.float()(torch.from_numpy(images)).numpy(), in_integers)
    return images, in_integers
