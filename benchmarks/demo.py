"""The demo with several seeds: its figures, and the ranges that they lie in.

python benchmarks/demo.py                     # seeds 0 to 2, a minute each
python benchmarks/demo.py --output FOLDER     # and demo.json there
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from results import ROOT, add_output, key, write_results


def figures_of(found: dict) -> dict[str, float]:
    """The figures of a run's results.json, in one level."""
    estimate, size = found["estimate"], found["size"]
    figures = {f"accuracy_{key(name)}": value for name, value in found["test_accuracy"].items()}
    figures |= {"test_images": found["test_images"], "compared_outputs": found["compared_outputs"]}
    figures |= {"mismatching_outputs": sum(found["mismatching_outputs"].values())}
    figures |= {f"pixels_{name}": value for name, value in found["pixels"].items()}
    figures |= {"parameters": size["parameters"], "weight_bits": found["weight_bits"]}
    figures |= {f"estimated_{name}": value for name, value in estimate.items() if isinstance(value, int | float)}
    return (
        figures | {f"share_{name}": value for name, value in estimate["share"].items()} | {"seconds": found["seconds"]}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="(default 0 1 2)")
    add_output(parser, "demo.json")
    options = parser.parse_args()
    runs = {}
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, ROOT / "examples/demo.py", "--output", f"{folder}/demo", "--seed", f"{seed}"]
            subprocess.run(command, check=True, cwd=folder)
            runs[f"seed_{seed}"] = figures_of(json.loads(Path(folder, "demo/results.json").read_text("utf-8")))
    ranges = {}
    for name in ("accuracy_float_torch", "accuracy_quantized_torch", "estimated_lut"):
        values = [run[name] for run in runs.values()]
        ranges |= {f"{name}_least": min(values), f"{name}_largest": max(values)}
    if options.output:
        write_results(options.output, "demo", {"ranges": ranges} | runs, tools=["g++"])


if __name__ == "__main__":
    main()
