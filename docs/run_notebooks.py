"""Runs the notebooks with all their events and epochs, and writes their outputs into them: ``make notebooks``.

The site and the repository show these outputs. Half an hour on two cores; notebook 05 wants ``SPARSEPIX_MNIST``.
"""

import argparse
import os
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def run(path: Path) -> None:
    """Run one notebook from top to bottom in its folder; nothing is written if a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day
    nbformat.write(notebook, path)


def main() -> None:
    """Run those that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(NOTEBOOKS.glob("*.ipynb")))
    os.environ.pop("SPARSEPIX_SHORT", None)
    for path in parser.parse_args().notebooks:
        begun = time.perf_counter()
        run(path)
        print(f"{path.name}: {time.perf_counter() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
