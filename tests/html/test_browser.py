"""The pages in a browser without a network: they load nothing, fit into the window, and answer."""

import csv

import numpy as np
import pytest

from onnx_models import whole_model
from page_parts import renamed
from sparsepix_hls.cli.main import main
from sparsepix_hls.flow.report import read_report
from sparsepix_hls.html.report_page import report_page

pytestmark = pytest.mark.browser
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return whole_model().save(tmp_path_factory.mktemp("browser") / "net.onnx")


@pytest.fixture(scope="module")
def project(model):
    images = np.random.default_rng(0).random((30, 1, 8, 8)) < 0.12
    np.save(model.parent / "images.npy", images.astype(float))
    assert main([str(model), "--testbench-data", str(model.parent / "images.npy")]) == 0
    return model.parent / "net_hls", images[:, 0]


@pytest.fixture
def opened(browser):
    """A function that opens a file; in the end nothing else was asked for, and nothing went wrong."""
    contexts, asked, wrong = [], [], []

    def show(path, width=1366):
        contexts.append(browser.new_context(viewport={"width": width, "height": 768}, offline=True))
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(path.as_uri())
        assert asked == [path.as_uri()]
        return page

    yield show
    for context in contexts:
        context.close()
    assert (len(asked), wrong) == (len(contexts), [])


WIDER = """
[document.documentElement, ...document.querySelectorAll('.plot')]
  .filter((one) => one.scrollWidth > innerWidth || one.querySelector('.main-svg')?.scrollWidth > one.clientWidth)
  .map((one) => one.id || one.tagName)
"""


SAYS = """
  window.said = [];
  new MutationObserver(() => said.push(document.getElementById('copy').textContent))
    .observe(document.getElementById('copy'), {childList: true});
"""


def soon(page, found, expected):
    """What is found is what is expected, if not at once: a page answers an input when it has the time."""
    for _ in range(200):
        if found() == expected:
            return
        page.wait_for_timeout(100)
    assert found() == expected


def check_width(page):
    """Nothing is wider than the window, and no figure than its place; figures follow the window after a moment."""
    soon(page, lambda: page.evaluate(WIDER), [])


def test_a_report_answers(project, opened):
    directory, images = project
    report = read_report(directory)
    page = opened(directory / "report.html")
    check_width(page)
    assert page.locator(".js-plotly-plot").count() == 2
    # A layer that is clicked shows what is known of it.
    weighted = next(k for k, layer in enumerate(report["layers"]) if "weight" in layer["constants"])
    page.click(f'.node[data-node="{weighted + 1}"]')
    shown = page.locator(".detail:visible")
    soon(page, lambda: shown.locator("h3").inner_text().split()[0], report["layers"][weighted]["name"])
    assert report["layers"][weighted]["constants"]["weight"]["type"] in shown.inner_text()
    # Events, one by one.
    slots = report["layers"][0]["max_pixels"]
    page.select_option("#event", "3")
    page.click("#next")
    for number in (4, 3):
        active = np.flatnonzero(images[number])
        soon(page, page.locator("#results h4").first.inner_text, f"Event {number}")
        kept, dropped = len(active[:slots]), len(active[slots:])
        assert f"{kept} kept of at most {slots}, {dropped} dropped" in page.locator("#results").inner_text()
        box = page.locator("#image").bounding_box()
        for slot, place in enumerate(active):
            row, column = divmod(int(place), 8)
            page.mouse.move(box["x"] + box["width"] * (column + 0.5) / 8, box["y"] + box["height"] * (row + 0.5) / 8)
            kind = f"kept, number {slot} of the list" if slot < slots else "dropped"
            lines = [f"row {row}, column {column}", kind, "value 1"]
            soon(page, lambda: page.locator("#tip").inner_text().splitlines(), lines)
        page.click("#previous")
    # Bars of another figure.
    page.click("#bar-tabs button:has-text('FF')")
    soon(page, page.locator("#bar-plot .xtitle").text_content, "FF")
    page.set_viewport_size({"width": 800, "height": 768})
    check_width(page)


def test_hostile_names_are_shown_as_text(project, opened, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(report_page(project[0], renamed(read_report(project[0]))), encoding="utf-8")
    page = opened(path, width=800)
    page.click(".node >> nth=2")
    page.locator("#timeline-plot").scroll_into_view_if_needed()
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    assert "</script>" in page.locator("#timeline-plot .ytick text").first.text_content()
    check_width(page)


def test_a_design_that_is_clicked_shows_its_command(model, opened):
    assert main([str(model), "--explore"]) == 0
    folder = model.parent / "net_designs"
    with (folder / "designs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    page = opened(folder / "designs.html")
    check_width(page)
    chosen = page.locator("tr.on")

    def place(row):  # several designs may have it
        return row["lut"], row["latency_cycles"]

    def chosen_place():
        return place(rows[int(chosen.get_attribute("data-row"))])

    for number in (len(rows) - 1, next(k for k, row in enumerate(rows) if row["best"] == "1")):
        row = rows[number]
        x, y = page.evaluate(
            "([x, y]) => { const its = document.getElementById('plot'); const box = "
            "its.querySelector('.nsewdrag').getBoundingClientRect(); const {xaxis, yaxis} = its._fullLayout; "
            "return [box.x + xaxis.d2p(x), box.y + yaxis.d2p(y)]; }",
            [int(row["lut"]), int(row["latency_cycles"])],
        )
        page.mouse.move(x, y)
        page.locator(".hoverlayer", has_text=f"{int(row['lut']):,} LUT").wait_for()
        page.mouse.click(x, y)
        soon(page, chosen_place, place(row))
        its = rows[int(chosen.get_attribute("data-row"))]
        command = page.locator("#command").inner_text()
        assert command == f"sparsepix-hls {model} {its['options']}"
        assert chosen.locator("td").first.inner_text() == its["options"]
    # What is copied is the command; the button says so for a moment.
    page.evaluate(SAYS)
    page.click("#copy")
    soon(page, lambda: page.evaluate("said"), ["copied", "copy"])
    page.evaluate("document.body.prepend(Object.assign(document.createElement('textarea'), {id: 'paste'}))")
    page.focus("#paste")
    page.keyboard.press("Control+V")
    soon(page, page.locator("#paste").input_value, command)
    # Where nothing can be copied, the page does not say that it was: the command is selected.
    page.evaluate("navigator.clipboard.writeText = () => Promise.reject(); document.execCommand = () => false")
    page.click("#copy")
    soon(page, lambda: page.evaluate("said.slice(2)"), ["press Ctrl+C", "copy"])
    assert page.evaluate("getSelection().toString()") == command
    page.set_viewport_size({"width": 800, "height": 768})
    check_width(page)
