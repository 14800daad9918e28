"""How long the commands take to say how they are used: the median of ten starts of each.

python benchmarks/startup.py
python benchmarks/startup.py --output FOLDER    # and startup.json there
"""

import argparse
import statistics
import subprocess
import sysconfig
import time
from pathlib import Path

from results import add_output, key, write_results

COMMANDS = ("sparsepix-hls", "sparsepix-train", "sparsepix-export", "sparsepix-import")


def seconds(command: str) -> float:
    """Of one ``COMMAND --help``."""
    path, begun = Path(sysconfig.get_path("scripts"), command), time.perf_counter()
    subprocess.run([path, "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=10, help="of each command (default: %(default)s)")
    add_output(parser, "startup.json")
    options = parser.parse_args()
    figures = {}
    for command in COMMANDS:
        figures[f"{key(command)}_help_seconds"] = statistics.median(seconds(command) for _ in range(options.starts))
        print(f"{command} --help: {figures[f'{key(command)}_help_seconds']:.3f} s")
    if options.output:
        write_results(options.output, "startup", figures)


if __name__ == "__main__":
    main()
