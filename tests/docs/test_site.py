"""The site: it builds without a warning and without a network, and every public name has an entry."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "docs"))

PACKAGES = (
    "sparsepix", "sparsepix.models", "sparsepix.compat", "sparsepix.training", "sparsepix.runs", "sparsepix.search",
    "sparsepix.datasets", "sparsepix.plots", "sparsepix_hls", "sparsepix_hls.hls4ml", "sparsepix_ops",
)  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Built as 'make docs' does."""
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "WARNING" not in done.stderr
    return folder


@pytest.mark.slow
def test_nothing_is_fetched(site):
    loads = r"<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=[\"']?((?:https?:)?//[^\"' >]+)"
    pages = list(site.rglob("*.html"))
    assert len(pages) > 25
    fetched = {url for page in pages for url in re.findall(loads, page.read_text(encoding="utf-8"))}
    assert not fetched


@pytest.mark.slow
def test_every_public_name_has_an_entry(site):
    ids = {
        found for page in (site / "api").glob("*.html") for found in re.findall(r'<h2 id="([\w.]+)"', page.read_text())
    }
    wanted = set()
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            if name != "__version__" and not isinstance(getattr(module, name), ModuleType):
                wanted.add(f"{package}.{name}")
    assert wanted <= ids
    assert len(wanted) > 90


@pytest.mark.slow
def test_pages_have_their_figures(site):
    text = (site / "results" / "index.html").read_text(encoding="utf-8")
    assert "{{" not in re.sub(r"<(script|style).*?</\1>", "", text, flags=re.DOTALL)
    from macros import results

    latency = results()["neutrino_rtl"]["figures"]["fast"]["latency_cycles"]
    assert re.search(rf"<td>least latency</td>\s*<td>{latency}</td>", text)


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_were_run_from_top_to_bottom(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "make notebooks"
    assert any(output.output_type in ("execute_result", "display_data") for cell in cells for output in cell.outputs)
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert not [cell for cell in cells if "execution" in cell.metadata], "times of day: make notebooks"
