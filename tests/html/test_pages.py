"""What is in report.html and designs.html, and that nothing in a model can change what they are."""

import csv
import json
import re
import shutil

import numpy as np
import pytest

import sparsepix_hls as hls
from onnx_models import ModelBuilder, whole_model
from page_parts import HOSTILE, Elements, data_of, renamed
from sparsepix_hls.cli.main import main
from sparsepix_hls.flow.report import add_to_report, read_report
from sparsepix_hls.html.figures import timeline as figure_of_times
from sparsepix_hls.html.layout import layered
from sparsepix_hls.html.report_page import report_page
from sparsepix_hls.html.sources import sources

RESOURCES = ("lut", "ff", "dsp", "bram")
FIGURES = ("latency_cycles", "interval_cycles", *RESOURCES)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose user gave 200 images with values of 0 and 1."""
    folder = tmp_path_factory.mktemp("pages")
    images = np.random.default_rng(0).random((200, 1, 8, 8)) < np.linspace(0, 0.2, 200)[:, None, None, None]
    np.save(folder / "images.npy", images.astype(float))
    model = whole_model().save(folder / "net.onnx")
    assert main([str(model), "--testbench-data", str(folder / "images.npy"), "--reuse-factor", "2"]) == 0
    return folder / "net_hls", images[:, 0]


def cards(page):
    return {own["data-key"]: text for tag, own, text in Elements(page).found if "data-key" in own and tag == "div"}


def table(page):
    """Kind and figures of each row of the stages, by the stage."""
    found = {}
    for body in re.findall(r"<tbody[^>]*>.*?</tbody>", page, re.DOTALL):
        name = re.search(r'data-stage="([^"]*)"', body)
        for row in re.findall(r'<tr data-kind="([^"]*)">(.*?)</tr>', body, re.DOTALL):
            cells = re.findall(r"<td>([^<]*)", row[1])[1:]
            found[name[1] if name else "", row[0]] = cells
    return found


def test_the_page_says_what_the_report_says(project):
    page, report = (project[0] / "report.html").read_text(), read_report(project[0])
    estimate, total = report["estimate"], report["estimate"]["total"]
    for key, text in cards(page).items():
        assert f"{total[key]:,}" in text
        assert "estimated" in text
    assert set(cards(page)) == set(FIGURES)
    assert f"{100 * estimate['utilization']['lut']:.1f} %" in cards(page)["lut"]
    rows = table(page)
    for stage in estimate["stages"]:
        own = [row for row in estimate["rows"] if row["stage"] == stage["name"]]
        area = [sum(row[key] for row in own) for key in RESOURCES]
        figures = [stage["latency_cycles"], stage["interval_cycles"], *area]
        assert rows[stage["name"], "estimated"] == [f"{figure:,}" for figure in figures]
    assert rows["", "estimated"] == [f"{total[key]:,}" for key in FIGURES]
    boxes = Elements(page).of("button", class_="node layer")
    for layer, box in zip(report["layers"], boxes, strict=True):
        made = layer["outputs"][0]
        assert box.startswith(layer["name"])
        assert made["type"].rsplit(", ", 2)[0] in box  # without rounding and overflow
        assert " × ".join(map(str, made["shape"])) in box
        assert "{:.5g} … {:.5g}".format(*made["range"]) in box
    assert "xcvu9p-flga2104-2L-e" in page
    assert Elements(page).of("a", class_="badge unknown") == ["not simulated"]


def test_the_times_are_those_of_the_report(project):
    report = read_report(project[0])
    (its,) = data_of((project[0] / "report.html").read_text())["timelines"]
    stages, total = report["estimate"]["stages"], report["estimate"]["total"]
    first = [trace for trace in its["data"] if trace["name"] == "event 1"]
    second = [trace for trace in its["data"] if trace["name"] == "event 2"]
    lengths = [sum(parts) for parts in zip(*(trace["x"] for trace in first), strict=True)]
    assert lengths == [stage["latency_cycles"] for stage in stages]
    busy = [min(stage["latency_cycles"], stage["interval_cycles"]) for stage in stages]
    assert first[0]["x"] == busy
    assert first[0]["base"][0] == 0
    assert first[0]["base"][-1] + lengths[-1] == total["latency_cycles"]
    assert second[0]["base"] == [start + total["interval_cycles"] for start in first[0]["base"]]


def test_measured_times_are_those_of_the_simulation(project):
    """Event 2 waits in stage 'a' and takes none in 'b'; a report of before has no such times."""
    report = read_report(project[0])
    timeline = [[0, 5, 7, 8], [3, 12, 12, 14]]
    names = ["a", "b", "ports"]
    stages = [{"name": name, "latency_cycles": 5, "latency_cycles_least": 1} for name in names]
    measured = {"latency_cycles": 11, "interval_cycles": 6, "measured_events": 2}
    for known in ({}, {"stages": stages, "timeline": timeline}):
        found = report | {"measured": measured | known}
        source = next(its for its in sources(found, None) if its.kind == "measured")
        assert source.stages == ({name: {"latency_cycles": 5} for name in names} if known else {})
        its = figure_of_times(found, source, 0)
        assert (its is not None) == bool(known)
    assert its["layout"]["yaxis"]["ticktext"] == names
    for trace, clocks in zip(its["data"], timeline, strict=True):
        assert trace["base"] == clocks[:-1]
        assert [begin + length for begin, length in zip(trace["base"], trace["x"], strict=True)] == clocks[1:]


def test_the_events_are_those_of_the_testbench(project):
    directory, images = project
    found = data_of((directory / "report.html").read_text())["events"]
    slots = next(layer for layer in read_report(directory)["layers"] if layer["op"] == "InputReduce")["max_pixels"]
    numbers = [event["number"] for event in found["events"]]
    assert numbers[:24] == list(range(24))
    assert len(numbers) == 48  # those that come later drop pixels
    assert found["total"] == 200
    for event in found["events"]:
        active = np.flatnonzero(images[event["number"]])
        assert event["kept"] == list(active[:slots])
        runs = [range(a, a + n) for a, n in zip(event["dropped_runs"][::2], event["dropped_runs"][1::2], strict=True)]
        assert [place for run in runs for place in run] == list(active[slots:])
        assert event["dropped"] == len(active[slots:])
        assert {raw * 2.0 ** found["exponent"] for raw in event["values"]} <= {1.0}
    assert all(event["dropped"] for event in found["events"][24:])
    expected = np.loadtxt(directory / "tb/data/outputs.dat", dtype=int)
    assert [event["results"][0] for event in found["events"]] == expected[numbers].tolist()


def test_pages_of_large_images_stay_small(tmp_path):
    model = ModelBuilder(1, 256, 256).image().reduce(1000).conv().save(tmp_path / "net.onnx")
    directory = hls.translate(model, tmp_path / "p", picture=True).directory
    events = data_of((directory / "report.html").read_text())["events"]
    assert any(event["dropped"] > 60_000 for event in events["events"])
    assert len(json.dumps(events)) < 1_500_000


def test_what_is_found_later_comes_into_the_page(project):
    directory = project[0]
    before = (directory / "report.html").read_text()
    add_to_report(directory, "csim", {"events": 200, "mismatches": 0, "first": []})
    assert Elements((directory / "report.html").read_text()).of("a", class_="badge good") == [
        "0 mismatches in 200 events"
    ]
    add_to_report(directory, "csim", {"events": 200, "mismatches": 2, "first": ["event 3, y 0: expected 1, found 2"]})
    page = (directory / "report.html").read_text()
    assert Elements(page).of("a", class_="badge bad") == ["2 mismatches in 200 events"]
    assert "event 3, y 0: expected 1, found 2" in page
    add_to_report(directory, "csim", None)
    assert len((directory / "report.html").read_text()) == pytest.approx(len(before), abs=20)  # the time is another


def test_figures_nearer_to_the_hardware_come_first(project):
    report = read_report(project[0])
    area = {"lut": 111, "ff": 222, "dsp": 3, "bram": 4}
    path = {"levels": 2.5, "end": "x"}
    stage = report["estimate"]["stages"][0]["name"]
    found = {
        "backend": "rtl",
        "measured": {
            "events": 5, "measured_events": 6, "latency_cycles": 77, "latency_cycles_least": 70, "tail_cycles": 77,
            "interval_cycles": 8, "interval_cycles_mean": 8.0, "mismatches": {"testbench": 0, "stalls": 1},
        },
        "synthesis": {
            "method": "Yosys", "total": area, "modules": {f"net_stage_{stage}": {**area, **path}},
            "deepest": {"module": "net_stage_x", **path},
        },
    }  # fmt: skip
    page = report_page(project[0], report | found)
    shown = cards(page)
    assert "measured" in shown["latency_cycles"]
    assert "77 cycles" in shown["latency_cycles"]
    assert all("synthesized" in shown[key] and f"{area[key]:,}" in shown[key] for key in RESOURCES)
    rows = table(page)
    assert rows[stage, "synthesized"] == ["–", "–", "111", "222", "3", "4"]
    assert rows["", "measured"] == ["77", "8", "–", "–", "–", "–"]
    assert Elements(page).of("a", class_="badge bad") == ["1 mismatch in 5 events"]
    placed = {
        "cells": {key: [value + 1, 1000] for key, value in area.items()}, "fmax_mhz": 90.0, "asked_mhz": 100.0,
        "path": {"ns": 11.0, "routing_ns": 5.0, "stage": "", "end": "y"}, "bitstream": None,
    }  # fmt: skip
    shown = cards(report_page(project[0], report | found | {"placed": placed}))
    assert all("placed" in shown[key] and f"{area[key] + 1:,}" in shown[key] for key in RESOURCES)


def test_names_of_a_model_stay_text(project):
    report = renamed(read_report(project[0]))
    page = report_page(project[0], report)
    elements = Elements(page)
    tags = {tag for tag, _, _ in elements.found}
    assert "img" not in tags
    assert len(elements.of("script")) == 4  # the data, Plotly, and ours
    assert HOSTILE in elements.of("h1")[0]
    assert HOSTILE not in page
    assert not [own for _, own, _ in elements.found if any(name.startswith("on") for name in own)]
    assert data_of(page)["events"]["outputs"][0]["name"].endswith(HOSTILE)


def test_pages_load_nothing(project):
    page = (project[0] / "report.html").read_text()
    for tag, own, _ in Elements(page).found:
        assert "src" not in own
        assert tag not in ("iframe", "object", "embed", "base", "form")
        assert own.get("href", "#").startswith("#") or own["href"] == "data:,"
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style


def test_reports_of_before_are_shown(tmp_path, capsys):
    """Without inputs, ranges and labels; the page is new in the folder, and belongs to it from now on."""
    model = whole_model().save(tmp_path / "net.onnx")
    directory = hls.translate(model, tmp_path / "net_hls").directory
    report = read_report(directory)
    for its in (report["input"], *report["outputs"], *(t for layer in report["layers"] for t in layer["outputs"])):
        its.pop("range", None)
        its.pop("label", None)
    for layer in report["layers"]:
        layer.pop("inputs")
    for key in ("outputs", "design", "clock_uncertainty", "backend"):
        report.pop(key)
    from sparsepix_ops.system.files import atomic_write

    with atomic_write(directory / "report.json") as path:
        path.write_text(json.dumps(report))
    assert main(["report", str(directory)]) == 0
    assert f"report: {directory / 'report.html'}" in capsys.readouterr().out
    page = (directory / "report.html").read_text()
    assert len(Elements(page).of("button", class_="node layer")) == len(report["layers"])
    assert cards(page)
    assert main(["report", str(directory)]) == 0  # once more, in its place
    (directory / "tb/data/inputs.dat").write_text("no numbers\n")
    assert "cannot be read" in report_page(directory, report)
    (directory / "tb/data/inputs.dat").unlink()
    assert main([str(model), "--force", "-o", str(directory)]) == 0


def test_a_page_that_was_changed_is_left_alone(tmp_path, capsys):
    model = whole_model().save(tmp_path / "net.onnx")
    assert main([str(model)]) == 0
    page = tmp_path / "net_hls" / "report.html"
    page.write_text("mine")
    add_to_report(page.parent, "csim", {"events": 1, "mismatches": 0})
    assert main(["report", str(page.parent)]) == 0
    assert "is left as it is" in capsys.readouterr().out
    assert page.read_text() == "mine"
    assert main([str(model), "--force"]) == 2
    assert "report.html (changed)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        lambda report: report["estimate"].pop("rows"),
        lambda report: report["estimate"]["total"].pop("lut"),
        lambda report: report.update(layers="x"),
        lambda report: report.update(csim={"events": 3}),
        lambda report: report.update(testbench=None),
        lambda report: report.update(clock_ns="5"),
        lambda report: report["layers"][0].pop("outputs"),
    ],
)
def test_a_report_that_was_changed_is_refused(project, tmp_path, capsys, change):
    folder = tmp_path / "project"
    shutil.copytree(project[0], folder)
    report = read_report(folder)
    change(report)
    (folder / "report.json").write_text(json.dumps(report))
    assert main(["report", str(folder)]) == 2
    assert "found a changed one" in capsys.readouterr().err


def test_designs_are_those_of_the_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole_model().save(tmp_path / "my net.onnx")
    flags = ["--clock", "4", "--part", "xcu250", "--io", "stream"]
    assert main(["my net.onnx", "--explore", *flags]) == 0
    page = (tmp_path / "my net_designs" / "designs.html").read_text()
    with (tmp_path / "my net_designs" / "designs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    data = data_of(page)
    assert data["command"] == "sparsepix-hls 'my net.onnx' --part xcu250 --clock 4"
    for own, row in zip(data["rows"], rows, strict=True):
        assert own["command"] == row["options"]
        assert "--io stream" in own["command"]
        assert {key: str(own[key]) for key in FIGURES} == {key: row[key] for key in FIGURES}
        assert str(int(own["best"])) == row["best"]
    shown = sorted(k for trace in data["plots"][0]["data"] for k in trace.get("customdata", ()))
    assert shown == list(range(len(rows)))


def test_a_graph_is_laid_out_in_columns():
    # A diamond with a long edge past it: 0 -> 1 -> 2 -> 3, 0 -> 4 -> 3, 0 -> 3.
    plan = layered(5, [(0, 1), (1, 2), (0, 3), (2, 4), (3, 4), (0, 4)], 100, 20)
    assert plan.ranks == (0, 1, 2, 1, 3)
    assert plan.centres == (50, 50, 50, plan.centres[3], 50)
    assert plan.centres[3] > 150
    tracks = [track for track in plan.tracks if track is not None]
    assert len(tracks) == 2  # (3, 4) and (0, 4) pass ranks
    assert len(set(tracks)) == 2
    boxes = [(centre - 50, centre + 50) for centre in plan.centres]
    assert not [track for track in tracks for left, right in boxes if left <= track <= right]
