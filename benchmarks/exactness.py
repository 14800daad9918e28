"""What the tests of exactness cover: they run, and their networks, images and differences are counted.

    python benchmarks/exactness.py                                              # random networks, minutes
    python benchmarks/exactness.py --events neutrino_events.npz --keras FOLDER  # and files of others' models
    python benchmarks/exactness.py --output FOLDER                              # and exactness.json there

--events names the file of the events and weights that the authors of SparsePixels published, --keras the folder of
models that sparsepixels wrote; neither is part of the project. Where SPARSEPIX_HLS4ML_PYTHON and
SPARSEPIX_KERAS_PYTHON name the Python of environments with hls4ml, and with Keras, HGQ2 and sparsepixels
(tests/support/needs.py says how to make them), these take part. Numbers of networks and images are those of the tests;
a test that fails ends this program, so that 'mismatches' are 0.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from results import ROOT, add_output, write_results

for folder in ("tests/support", "tests/tools", "tests/system", "tests/models", "tests/cpp", "tests/rtl"):
    sys.path.append(str(ROOT / folder))


def passed(test: str) -> dict[str, int]:
    """How many tests of a file passed, and were skipped; ends the program if one fails."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", test, f"--junitxml={report}"], cwd=ROOT, check=False
        )
        if done.returncode:
            sys.exit(f"{test}: not all tests passed")
        suite = ElementTree.parse(report).getroot()[0]
    skipped = int(suite.get("skipped"))
    return {"passed": int(suite.get("tests")) - skipped, "skipped": skipped, "mismatches": 0}


def networks() -> dict[str, dict[str, int]]:
    """Random networks, without and with the firmware."""
    import inspect

    import test_networks
    import test_networks_firmware
    from random_networks import hard_images

    images = inspect.signature(hard_images).parameters["count"].default
    return {
        "networks": {"networks": test_networks.NETWORKS, "images_each": images}
        | passed("tests/system/test_networks.py"),
        "networks_firmware": {"networks": test_networks_firmware.NETWORKS, "images_each": images}
        | passed("tests/system/test_networks_firmware.py"),
    }


def real_events(path: Path) -> dict[str, float]:
    """The published events and weights."""
    import test_real_events
    from published_events import SIZES, images_of, read_events

    events = read_events(path)
    errors, changed = [], 0
    for size in SIZES:
        found, published = test_real_events.predictions(events, size)
        errors.append(np.abs(found - published))
        changed += int(((found > 0.5) != (published > 0.5)).sum())
    largest = np.sort(np.concatenate(errors))
    return {
        "weight_sets": len(SIZES),
        "events": len(images_of(events)),
        "changed_decisions": changed,
        "largest_difference": float(largest[-1]),
        "second_largest_difference": float(largest[-2]),
    } | passed("tests/system/test_real_events.py")


def keras_files(folder: Path) -> dict[str, float]:
    """Models that sparsepixels wrote."""
    import test_from_keras

    found: dict[str, float] = {"models": len(test_from_keras.MODELS), "changed_decisions": 0}
    for name in test_from_keras.MODELS:
        images, expected = test_from_keras.events(folder / f"{name}_io.npz")
        output = test_from_keras.run(test_from_keras.from_keras(folder / f"{name}.keras"), images)
        found[f"images_{name}"] = len(images)
        found[f"largest_difference_{name}"] = float(np.abs(output - expected).max())
        found["changed_decisions"] += int((output.argmax(1) != expected.argmax(1)).sum())
    return found | passed("tests/models/test_from_keras.py")


def made_by_keras() -> dict[str, float]:
    """Models that Keras, HGQ2 and sparsepixels make in the test."""
    import test_from_keras

    test = "tests/models/test_from_keras.py::test_files_that_keras_makes_now"
    return {"models": test_from_keras.MADE, "largest_difference": test_from_keras.APART} | passed(test)


def hls4ml() -> dict[str, int]:
    """Our models in hls4ml."""
    import test_hls4ml as test

    counts = {"presets": len(test.PRESETS), "images_each": test.IMAGES, "random_networks": test.NETWORKS}
    return counts | {"designs": len(test.DESIGNS)} | passed("tests/cpp/test_hls4ml.py")


def proofs() -> dict[str, int]:
    """What is proved of the RTL's modules: by induction, or for so many clocks; and the faults that a proof finds."""
    import test_rtl_proofs as test

    proved, bounded = ({module for module, *_ in cases} for cases in (test.CASES, test.BOUNDED))
    counts = {"modules": len(proved), "modules_for_some_clocks": len(bounded - proved), "faults": len(test.FAULTS)}
    return counts | passed("tests/rtl/test_rtl_proofs.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=Path, metavar="FILE", help="neutrino_events.npz")
    parser.add_argument("--keras", type=Path, metavar="FOLDER", help="of uniform.keras, learned.keras, ...")
    add_output(parser, "exactness.json")
    options = parser.parse_args()
    given = {"SPARSEPIX_EVENTS": options.events, "SPARSEPIX_KERAS_FILES": options.keras}
    os.environ |= {name: str(path.absolute()) for name, path in given.items() if path}  # before a test is imported
    figures = networks() | {"proofs": proofs()}
    if options.events:
        figures["real_events"] = real_events(options.events)
    if options.keras:
        figures["keras_files"] = keras_files(options.keras)
    if os.environ.get("SPARSEPIX_KERAS_PYTHON"):
        figures["made_by_keras"] = made_by_keras()
    if os.environ.get("SPARSEPIX_HLS4ML_PYTHON"):
        figures["hls4ml"] = hls4ml()
    if options.output:
        write_results(options.output, "exactness", figures, tools=["g++", "verilator"])


if __name__ == "__main__":
    main()
