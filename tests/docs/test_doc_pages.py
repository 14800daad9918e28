"""README and the pages of the site: figures come from files, links lead somewhere, commands are as they are written."""

import re
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "docs"))

PAGES = sorted(p for p in (ROOT / "docs").rglob("*.md") if "notebooks" not in p.parts)
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]
UNITS = (
    "LUT4?s?|FF|flip-flops|DSPs?|slices|cycles|clocks|levels|ms|us|ns|s|seconds?|minutes?|hours?|%|points|MHz|MiB|GB|KiB|"
    "events a second|images a second|times|cells|blocks|adders|operations|gates"
)
FIGURE = re.compile(rf"(?<![\w.<#-])\d[\d,]*(?:\.\d+)?\s?(?:k|M)?\s?(?:{UNITS})(?![\w*])")
# Settings and facts of others, not measured by us.
SETTINGS = {
    "80 %": "of a part: the default of --conv auto",
    "5 ns": "ten levels by AMD's data sheet; the default clock",
    "2.5 ns": "a DSP slice by AMD's data sheet",
}


def prose(text: str) -> str:
    """A page without code, expressions and the targets of links."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for what in (r"\{%.*?%\}", r"\{\{.*?\}\}", r"`[^`]*`", r"(?<=\])\([^)]*\)"):
        text = re.sub(what, "`", text, flags=re.DOTALL)
    return text


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda p: p.relative_to(ROOT).as_posix())
def test_figures_come_from_results_files(page):
    text = page.read_text(encoding="utf-8")
    if page.name == "README.md":
        from macros import headlines

        assert headlines() in text, "README's table is not that of docs/results: python docs/macros.py"
        text = text.replace(headlines(), "")
    found = [figure for figure in FIGURE.findall(prose(text)) if figure not in SETTINGS]
    assert not found, f"{page.name}: figures that no results file has: {found}"


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 900


def anchors(path: Path) -> set[str]:
    """Of the headings of a page, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", TEXTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if re.match(r"https?://", target):
            continue
        path = (page.parent / file).resolve() if file else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert not broken


def commands() -> list[tuple[str, str]]:
    """The lines of code of README and of the pages that begin with one of our commands, with their page."""
    found = []
    for page in TEXTS:
        text = page.read_text(encoding="utf-8")
        lines = [line for block in re.findall(r"```\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
        lines += re.findall(r"`(sparsepix-[^`\n]+)`", text)
        for line in lines:
            line = line.split("#")[0].split("&&")[0].replace("\\n", " ").strip()
            names = line in ("sparsepix-train PRESET", "sparsepix-hls dais")  # no command, but what it is called
            if (
                re.match(r"sparsepix-(train|export|hls|import) ", line)
                and not names
                and not re.search(r"\.\.\.|{{", line)
            ):
                found.append((page.relative_to(ROOT).as_posix(), line))
    return sorted(set(found))


def parse(line: str) -> None:
    """Parse a command as it does itself; ends the program if it does not know an option."""
    placeholders = {"N": "8", "B": "8", "S": "1", "PRESET": "neutrino"}
    name, *words = (placeholders.get(word, word) for word in shlex.split(line))
    if words[0].startswith("-"):
        words = ["model", *words]  # the page means the option
    if name == "sparsepix-hls":
        from sparsepix_hls.cli.arguments import parse as parse_hls

        parse_hls(words)
    elif name == "sparsepix-train":
        from sparsepix.cli.train_arguments import parse as parse_train

        parse_train(words)
    else:
        from sparsepix.cli import export, import_keras

        (export if name == "sparsepix-export" else import_keras)._parser().parse_args(words)


def test_commands_are_as_they_are_written(capsys):
    assert len(commands()) > 20
    unknown = []
    for page, line in commands():
        try:
            parse(line)
        except SystemExit as end:
            if end.code:
                unknown.append(f"{page}: {line}: {capsys.readouterr().err.splitlines()[-1]}")
    assert not unknown
