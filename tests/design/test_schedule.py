"""The schedule of the generated C++: its algorithm on graphs by hand, and the loops of projects."""

import csv

import pytest

import sparsepix_hls as hls
from design_space import build, covering
from onnx_models import ModelBuilder
from sparsepix_hls.cli.main import main
from sparsepix_hls.design.options import Options
from sparsepix_hls.flow import scheduled_points
from sparsepix_hls.flow.report import read_report
from sparsepix_hls.schedule.blocks import Blocks
from sparsepix_hls.schedule.modulo import LoopSchedule, Operation, schedule_region
from sparsepix_hls.schedule.project import schedule_project


def chain(*delays):
    """Operations one after the other."""
    return [Operation(delay, ((k - 1, 0),) if k else ()) for k, delay in enumerate(delays)]


@pytest.mark.parametrize(
    ("delays", "depth"),
    [((1.0, 1.0, 1.0), 1), ((1.0, 1.0, 1.0, 1.0), 2), ((2.0, 2.0, 1.0), 2), ((5.0, 1.0), 2), ((), 1), ((0.0,) * 9, 1)],
)
def test_operations_share_a_clock_as_long_as_they_fit(delays, depth):
    assert schedule_region(chain(*delays), 3.0) == LoopSchedule(depth, 1, 0)


@pytest.mark.parametrize(("links", "interval"), [(1, 1), (3, 1), (4, 2), (6, 2), (7, 3), (30, 10)])
def test_a_recurrence_sets_the_interval(links, interval):
    """A value that goes through so many operations of 1 ns until the next iteration needs it, 3 of them a clock."""
    region = chain(*[1.0] * links)
    region[0] = Operation(1.0, ((links - 1, 1),))
    assert schedule_region(region, 3.0).interval_cycles == interval


def test_two_recurrences_meet():
    """Each alone fits into a clock; that the second waits for a flag of the first does not lengthen it."""
    region = [
        Operation(0.0, ((3, 1),)),
        Operation(2.0, ((0, 0),)),  # flag
        Operation(0.0, ((4, 1),)),
        Operation(0.5, ((0, 0), (1, 0), (2, 0))),
        Operation(0.5, ((2, 0), (1, 0))),
    ]
    assert schedule_region(region, 3.0).interval_cycles == 1
    assert schedule_region(region, 2.2).interval_cycles == 2


def test_an_endless_recurrence_has_no_schedule():
    region = chain(*[3.0] * 100)
    region[0] = Operation(3.0, ((99, 1),))
    assert schedule_region(region, 3.0) is None


def test_loops_and_what_decides():
    #  0 -> 1 -> (2 | 3) -> 4 -> 1, 5
    blocks = Blocks([[1], [2, 3], [4], [4], [1, 5], []])
    assert blocks.loops == {1: {1, 2, 3, 4}}
    assert blocks.deciding(4) == {1}
    assert blocks.deciding(2) == {1}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("schedule")
    builder = ModelBuilder(1, 6, 6, seed=3).image().reduce(4, threshold=0.25).conv("conv1", 2).relu("relu1")
    return builder.activation("act1").flatten().dense("dense1", 3).save(folder / "net.onnx")


@pytest.mark.gxx
@pytest.mark.parametrize("options", [Options(reduce="scan"), Options(reduce="scan", conv="pairs", reuse_factor=2)])
def test_loops_of_a_project(model, tmp_path, options):
    """The scan lists a pixel a clock; a layer in rounds begins one each clock."""
    project = hls.translate(model, tmp_path / "net", options=options)
    stages = schedule_project(project.directory, project.graph.name, 5.0)
    scan = stages[0].loops[-1]
    assert (scan.trips, scan.interval_cycles) == (4, 1)
    assert scan.operations > 100
    assert all(loop.interval_cycles == 1 for stage in stages for loop in stage.loops)
    assert 3 <= scan.depth_cycles <= 20
    # A slower clock holds more logic.
    slow = schedule_project(project.directory, project.graph.name, 20.0)
    assert sum(s.latency_cycles for s in slow) < sum(s.latency_cycles for s in stages)


@pytest.mark.gxx
@pytest.mark.parametrize("options", [Options(reduce="stream", pixels_per_cycle=5), Options(reduce="tree")])
def test_other_reductions(model, tmp_path, options):
    project = hls.translate(model, tmp_path / "net", options=options)
    first = schedule_project(project.directory, project.graph.name, 5.0)[0]
    assert [(loop.trips, loop.interval_cycles) for loop in first.loops] == [(8 if options.reduce == "stream" else 1, 1)]


def test_the_largest_pixels_are_found_before_they_are_listed(tmp_path):
    """Keys of 6 x 7 pixels of 8 bits have 4 + 2 + 2 digits, each of the same few clocks whatever the image."""
    builder = ModelBuilder(1, 6, 7, seed=3).image().reduce(4, threshold=0.25, selection="magnitude").flatten()
    project = hls.translate(builder.dense("dense1", 3).save(tmp_path / "net.onnx"), tmp_path / "net")
    outside, digits, scan = schedule_project(project.directory, project.graph.name, 5.0)[0].loops
    assert (outside.trips, digits.trips, scan.trips) == (1, 8, 4)
    assert 2 <= digits.interval_cycles <= 5
    assert scan.interval_cycles == 1


@pytest.mark.parametrize("reduce", ["stream", "scan"])
def test_streams_are_ports_of_new_data(model, tmp_path, reduce):
    """A beat of six pixels a clock: an image of 36 in six, whether the image is collected or listed as it comes."""
    options = Options(reduce=reduce, io="stream", pixels_per_cycle=6)
    project = hls.translate(model, tmp_path / "net", options=options)
    stages = schedule_project(project.directory, project.graph.name, 5.0)
    assert (stages[0].loops[0].trips, stages[0].loops[0].interval_cycles) == (6, 1)
    assert not list((tmp_path / "net" / "build").glob("schedule.*"))


def test_command(model, tmp_path, capsys):
    assert main([str(model), "-o", str(tmp_path / "net"), "--schedule"]) == 0
    text = capsys.readouterr().out
    assert "schedule of the C++" in text
    assert "those of Vitis HLS on an xcu250" in " ".join(text.split())
    found = read_report(tmp_path / "net")["schedule"]
    assert found["latency_cycles"] == sum(stage["latency_cycles"] for stage in found["stages"])
    assert f"{found['lut']:,}" in text
    assert main(["report", str(tmp_path / "net")]) == 0
    assert "schedule of the C++" in capsys.readouterr().out
    assert not list((tmp_path / "net" / "build").glob("schedule.*"))


def test_not_for_rtl(model, tmp_path, capsys):
    assert main([str(model), "-o", str(tmp_path / "net"), "--schedule", "--backend", "rtl"]) == 2
    assert "--schedule is for the C++" in capsys.readouterr().err


@pytest.mark.gxx
@pytest.mark.parametrize("values", covering(), ids=lambda values: "-".join(map(str, values)))
def test_no_loop_is_slower_than_its_target(values, model, tmp_path):
    """Every pipelined loop of every kind of stage begins an iteration each clock."""
    project = build(model, tmp_path / "net", values, pixels_per_cycle=5)
    stages = schedule_project(project.directory, project.graph.name, 5.0)
    slow = [(stage.name, loop) for stage in stages for loop in stage.loops if loop.interval_cycles > 1]
    assert slow == []
    assert all(loop.lut > 0 for stage in stages for loop in stage.loops)


@pytest.mark.gxx
def test_explored_designs_are_scheduled(model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(scheduled_points, "MOST", 2)
    assert main([str(model), "-o", str(tmp_path / "designs"), "--explore", "--schedule"]) == 0
    assert "scheduled" in capsys.readouterr().out
    with (tmp_path / "designs/designs.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = [row for row in rows if row["scheduled_latency_cycles"]]
    assert 1 <= len(found) <= 2 < len(rows)
    for row in found:
        assert int(row["best"])
        assert abs(int(row["scheduled_latency_cycles"]) - int(row["latency_cycles"])) < 12
        assert int(row["scheduled_interval_cycles"]) == int(row["interval_cycles"])
    refused = [str(model), "-o", str(tmp_path / "no"), "--explore", "--schedule", "--backend", "rtl"]
    assert main(refused) == 2
    assert "--schedule is for the C++" in capsys.readouterr().err
