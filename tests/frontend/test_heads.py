"""A Sigmoid or Softmax at the end: dropped, or the same table in the integer reference and in the firmware."""

import numpy as np
import onnxruntime as ort
import pytest
from numpy.testing import assert_array_equal
from torch import nn

import sparsepix as sp
import sparsepix_hls
from random_networks import hard_images
from sparsepix_ops import reference

LOGIT_WEIGHTS = sp.FixedPoint(9, 6)


def model_with(head, outputs):
    return nn.Sequential(
        sp.QuantIdentity(sp.FixedPoint(7, 2)), sp.SparseInputReduce(5), sp.SparseFlatten(),
        sp.QuantLinear(20, outputs, weight_format=LOGIT_WEIGHTS), head,
    )  # fmt: skip


@pytest.mark.gxx
@pytest.mark.parametrize(("head", "outputs"), [(nn.Sigmoid(), 2), (nn.Softmax(dim=1), 4)])
def test_heads(head, outputs, tmp_path):
    model = model_with(head, outputs)
    nn.init.normal_(model[3].weight, std=4)
    images = hard_images(np.random.default_rng(2), (1, 4, 5), count=300)
    path = tmp_path / "model.onnx"
    exported = sp.export_onnx(model, path, (1, 4, 5))
    logits = reference.run(exported, images).real

    dropped = sparsepix_hls.translate(path, output_dir=tmp_path / "dropped", part="xcvu9p")
    dropped.compile()
    assert_array_equal(dropped.predict(images), logits)

    kept = sparsepix_hls.translate(path, output_dir=tmp_path / "kept", part="xcvu9p", keep_head=True)
    kept.compile()
    found = kept.predict(images)
    assert_array_equal(found, reference.run(exported, images, keep_head=True).real)
    assert len(np.unique(found)) > 50
    (in_floats,) = ort.InferenceSession(path).run(None, {"image": images})
    assert np.abs(found - in_floats).max() < 3 / 1024
    if outputs == 4:  # no order of two probabilities turns round
        assert (np.take_along_axis(found, logits.argmax(axis=1)[:, None], axis=1)[:, 0] == found.max(axis=1)).all()
