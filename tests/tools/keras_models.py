"""Make files of sparsepixels and HGQ2 by these libraries themselves, and what Keras predicts with them.

    PYTHON tests/tools/keras_models.py FOLDER

Not for our environment: PYTHON has keras, HGQ2, sparsepixels (pip install --no-deps: it names tensorflow, which is not
needed), and torch, which Keras then computes with. For each model FOLDER gets NAME.keras, NAME.weights.h5 and NAME.npz
(images [E, H, W, C] and predictions).
"""

import os

os.environ["KERAS_BACKEND"] = "torch"

import sys
from pathlib import Path

import keras
import numpy as np
from hgq.config import LayerConfigScope, QuantizerConfigScope
from hgq.layers import QConv2D, QDense
from keras.layers import Activation, Dropout, Flatten, Input, MaxPooling2D, ReLU
from sparsepixels.layers import AveragePooling2DSparse, InputReduce, MaxPooling2DSparse, QConv2DSparse

EVENTS = 100


def channelwise(**options):
    """A format for each channel, or for each element of a vector."""
    return {"heterogeneous_axis": (-1,), "homogeneous_axis": None} | options


# Weights, data (None: not quantized), budget and threshold learned.
SETTINGS = {
    "uniform": ({"q_type": "kbi", "b0": 8, "i0": 2, "overflow_mode": "SAT_SYM"}, None, False),
    "wrap": ({"q_type": "kbi", "b0": 6, "i0": 1, "overflow_mode": "SAT_SYM"},
             channelwise(q_type="kif", i0=2, f0=5, overflow_mode="WRAP"), True),
    "saturate": ({"q_type": "kif", "i0": 1, "f0": 5, "overflow_mode": "SAT", "round_mode": "RND_CONV"},
                 channelwise(q_type="kif", i0=2, f0=4, overflow_mode="SAT", round_mode="TRN"), False),
    "symmetric": ({"q_type": "kif", "i0": 1, "f0": 6, "overflow_mode": "WRAP"},
                  channelwise(q_type="kbi", b0=6, i0=1, overflow_mode="SAT_SYM", round_mode="RND_CONV"), False),
    "tensor": ({"q_type": "kbi", "b0": 7, "i0": 1, "overflow_mode": "WRAP", "heterogeneous_axis": (),
                "homogeneous_axis": None},
               {"q_type": "kif", "i0": 1, "f0": 5, "overflow_mode": "WRAP", "heterogeneous_axis": (),
                "homogeneous_axis": None}, True),
}  # fmt: skip


def small(x, learn):
    x, keep = InputReduce(n=12, threshold=0.05, learn_n=learn, learn_threshold=learn, name="reduce")(x)
    x = QConv2DSparse(filters=3, kernel_size=3, padding="same", activation="relu", name="conv1")([x, keep])
    x, keep = MaxPooling2DSparse(2, name="pool1")([x, keep])
    x = QConv2DSparse(filters=2, kernel_size=(3, 5), padding="same", name="conv2")([x, keep])
    x = ReLU(name="relu2")(x)
    x, keep = AveragePooling2DSparse((2, 4), name="pool2")([x, keep])
    x = Dropout(0.1)(Flatten()(x))
    x = QDense(8, activation="relu", name="dense1")(x)
    return QDense(4, use_bias=False, name="dense2")(x)


def linear(x, learn):
    x, keep = InputReduce(n=20, threshold=0.0, learn_n=learn, learn_threshold=learn, name="reduce")(x)
    x = QConv2DSparse(filters=4, kernel_size=5, padding="same", use_bias=False, name="conv1")([x, keep])
    x, keep = MaxPooling2DSparse(4, name="pool1")([x, keep])
    x = QDense(6, name="dense1")(Flatten()(x))
    x = Activation("relu", name="act1")(x)
    return QDense(1, activation="sigmoid", name="dense2")(x)


def standard(x, _):
    x = QConv2D(3, 3, padding="same", activation="relu", name="conv1")(x)
    x = MaxPooling2D(4, name="pool1")(x)
    x = QDense(4, name="dense1")(Flatten()(x))
    return Activation("softmax", name="softmax")(x)


NETWORKS = {"small": (small, (16, 24, 1)), "linear": (linear, (12, 12, 2)), "standard": (standard, (16, 16, 1))}


def images(shape, rng):
    """Few active pixels, of 8 bits; the first images have none, and many."""
    result = rng.integers(1, 256, (EVENTS, *shape)) / 255 * (rng.random((EVENTS, *shape[:2], 1)) < 0.06)
    result[0], result[1] = 0, rng.random(shape)
    return result.astype(np.float32)


def randomized(model, rng):
    """Bits and weights as after a training: every one another, some weights without bits."""
    for layer in model._flatten_layers():
        for variable in layer._trainable_variables:
            values = np.asarray(variable.value.detach())
            if variable.name in ("b", "f"):
                values = values + rng.integers(-2, 2, values.shape) + rng.uniform(-0.4, 0.4, values.shape)
                values = np.where(rng.random(values.shape) < 0.05, 0.0, values)
            elif variable.name == "n_frac":
                values = np.asarray(rng.uniform(0.6, 1.5))
            elif variable.name == "threshold":
                values = np.asarray(rng.uniform(0.0, 0.2))
            elif "bias" in variable.name:
                values = rng.normal(0, 0.3, values.shape)
            variable.assign(np.maximum(values, 0) if variable.name in ("b", "f") else values)


def make(folder):
    for name, (network, shape) in NETWORKS.items():
        for setting, (weights, data, learn) in SETTINGS.items():
            keras.utils.set_random_seed(len(name) * 100 + len(setting))
            rng = np.random.default_rng(len(name) * 100 + len(setting))
            on = data is not None
            scopes = [
                QuantizerConfigScope(place=place, default_q_type=config["q_type"], **({"round_mode": "RND"} | config))
                for place, config in ((("weight", "bias"), weights), ("datalane", data if on else {"q_type": "kif"}))
            ]
            with scopes[0], scopes[-1], LayerConfigScope(enable_ebops=on, beta0=1e-7, enable_iq=on):
                inputs = Input(shape)
                model = keras.Model(inputs, network(inputs, learn))
            x = images(shape, rng)
            loss = "mse"
            model.compile("adam", loss)
            model.fit(x, np.zeros((EVENTS, model.output_shape[-1])), epochs=1, batch_size=20, verbose=0)
            randomized(model, rng)
            stem = f"{name}_{setting.replace(' ', '_')}"
            model.save(folder / f"{stem}.keras")
            model.save_weights(folder / f"{stem}.weights.h5")
            np.savez(folder / f"{stem}.npz", images=x, predictions=model.predict(x, verbose=0))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    make(target)
