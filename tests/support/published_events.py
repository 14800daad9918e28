"""The events and weights that the authors of SparsePixels published; the file is not part of the project."""

import numpy as np

import sparsepix as sp
from sparsepix_ops import reference

SIZES = {"t": 8, "s": 12, "m": 16, "l": 20}


def read_events(path):
    """Arrays of the file, by name."""
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def trained(events, size, **options):
    model = sp.models.neutrino(max_pixels=SIZES[size], bias_on="nonzero", **options)
    suffix = f"_{size}"
    sp.compat.load_keras(
        model,
        {k.removesuffix(suffix): v for k, v in events.items() if k.endswith(suffix) and not k.startswith("prediction")},
    )
    return model.double().eval()


def images_of(events):
    return np.ascontiguousarray(events["images"].transpose(0, 3, 1, 2))


def published_model(path, folder, size="l"):
    """The weights of one size as an ONNX file with a 16-bit input, the images, and the exact results."""
    events = read_events(path)
    model = trained(events, size, input_format=sp.FixedPoint(16, 1, signed=False))
    exported = sp.export_onnx(model, folder / f"published_{size}.onnx")
    images = images_of(events)
    return folder / f"published_{size}.onnx", images, reference.run(exported, images).real
