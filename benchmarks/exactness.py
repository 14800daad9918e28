"""What the tests of exactness cover: they run, and their networks, images and differences are counted.

    python benchmarks/exactness.py                                              # random networks, minutes
    python benchmarks/exactness.py --events neutrino_events.npz --keras FOLDER  # and files of others' models
    python benchmarks/exactness.py --output FOLDER                              # and exactness.json there

--events names the file of the events and weights that the authors of SparsePixels published, --keras the folder of
models that sparsepixels wrote (tests/support/needs.py); neither is part of the project. Numbers of networks and images
are those of the tests; a test that fails ends this program, so that 'mismatches' are 0.
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

for folder in ("tests/support", "tests/system", "tests/models"):
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=Path, metavar="FILE", help="neutrino_events.npz")
    parser.add_argument("--keras", type=Path, metavar="FOLDER", help="of uniform.keras, learned.keras, ...")
    add_output(parser, "exactness.json")
    options = parser.parse_args()
    for name, path in (("SPARSEPIX_EVENTS", options.events), ("SPARSEPIX_KERAS_FILES", options.keras)):
        if path:
            os.environ[name] = str(path.absolute())  # before a test is imported
    figures = networks()
    if options.events:
        figures["real_events"] = real_events(options.events)
    if options.keras:
        figures["keras_files"] = keras_files(options.keras)
    if options.output:
        write_results(options.output, "exactness", figures, tools=["g++", "verilator"])


if __name__ == "__main__":
    main()
