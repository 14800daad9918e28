"""What some tests need and not every machine has: the marker, whether it is here, and how to get it."""

import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sparsepix_hls.rtl.tools.synthesis import yosys_command

# Files of the authors of SparsePixels; they are not part of this project.
SHARED = Path(__file__).resolve().parents[3] / "shared/data"
EVENTS = Path(os.environ.get("SPARSEPIX_EVENTS", SHARED / "neutrino_events.npz"))
MNIST = Path(os.environ.get("SPARSEPIX_MNIST", SHARED / "mnist"))
KERAS = Path(os.environ.get("SPARSEPIX_KERAS_FILES", SHARED / "keras"))
KERAS_PYTHON = os.environ.get("SPARSEPIX_KERAS_PYTHON", "")
HLS4ML_PYTHON = os.environ.get("SPARSEPIX_HLS4ML_PYTHON", "")
PUBLISHED = Path(os.environ.get("SPARSEPIX_PUBLISHED", SHARED / "sparse-pixels"))


def tools(*names: str) -> bool:
    """Whether all these commands are here."""
    return all(shutil.which(name) for name in names)


@dataclass(frozen=True)
class Need:
    """A marker's meaning: what a test with it needs."""

    here: Callable[[], bool]
    how: str


NEEDS = {
    "gxx": Need(lambda: tools("g++", "make"), "needs g++ and make: apt install g++ make"),
    "verilator": Need(
        lambda: tools("verilator", "make", "g++"), "needs Verilator, make and g++: apt install verilator make g++"
    ),
    "yosys": Need(lambda: yosys_command([]) is not None, "needs Yosys: pip install pyosys"),
    "tclsh": Need(lambda: tools("tclsh"), "needs tclsh: apt install tcl"),
    "browser": Need(
        lambda: tools("chromium") and importlib.util.find_spec("playwright") is not None,
        "needs chromium and playwright: apt install chromium; pip install playwright",
    ),
    "events": Need(
        EVENTS.is_file, f"needs the published events: set SPARSEPIX_EVENTS to neutrino_events.npz (looked at {EVENTS})"
    ),
    "mnist": Need(
        MNIST.is_dir, f"needs MNIST's four IDX files: set SPARSEPIX_MNIST to their folder (looked at {MNIST})"
    ),
    "keras_files": Need(
        lambda: (KERAS / "learned.keras").is_file(),
        f"needs files of sparsepixels 0.3.2: set SPARSEPIX_KERAS_FILES to their folder (looked at {KERAS})",
    ),
    "keras": Need(
        lambda: bool(KERAS_PYTHON),
        "needs Keras: python -m venv V; V/bin/pip install torch keras absl-py quantizers; V/bin/pip install --no-deps "
        "HGQ2==0.2.0 sparsepixels==0.3.2; set SPARSEPIX_KERAS_PYTHON to V/bin/python",
    ),
    "hls4ml": Need(
        lambda: bool(HLS4ML_PYTHON) and tools("g++", "make"),
        "needs g++ and hls4ml: python -m venv V; V/bin/pip install -e '.[hls4ml]'; set SPARSEPIX_HLS4ML_PYTHON to "
        "V/bin/python",
    ),
    "published": Need(
        (PUBLISHED / "weights").is_dir,
        f"needs github.com/hftsoi/sparse-pixels: set SPARSEPIX_PUBLISHED to a checkout (looked at {PUBLISHED})",
    ),
}
