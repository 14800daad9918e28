"""What some tests need and not every machine has: the marker, whether it is here, and how to get it."""

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
    "events": Need(
        EVENTS.is_file, f"needs the published events: set SPARSEPIX_EVENTS to neutrino_events.npz (looked at {EVENTS})"
    ),
    "mnist": Need(
        MNIST.is_dir, f"needs MNIST's four IDX files: set SPARSEPIX_MNIST to their folder (looked at {MNIST})"
    ),
    "published": Need(
        (PUBLISHED / "weights").is_dir,
        f"needs github.com/hftsoi/sparse-pixels: set SPARSEPIX_PUBLISHED to a checkout (looked at {PUBLISHED})",
    ),
}
