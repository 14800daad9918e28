"""Pairs or a stream of pixels, where a user leaves it open; and what is said of a design that does not fit its part."""

import re
import shlex
from dataclasses import replace

import pytest

import sparsepix_hls as hls
from onnx_models import ModelBuilder
from sparsepix_hls.cli.main import main
from sparsepix_hls.design.options import LayerOptions, Options
from sparsepix_hls.flow.backends import backend_design, find_backend
from sparsepix_hls.flow.explore import explore
from sparsepix_hls.flow.fits import chosen_options, that_fit
from sparsepix_hls.flow.report import read_report
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.project.parts import find_part
from sparsepix_ops.errors import SparsePixError


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """30 pixels, all pairs of which are too many for a small part."""
    b = ModelBuilder(1, 32, 32).image().reduce(30).conv("conv1", 4).activation("act1").conv("conv2", 4)
    path = tmp_path_factory.mktemp("model") / "net.onnx"
    return b.activation("act2").pool("pool", (4, 4), "max").flatten().dense("dense1", 4).save(path)


@pytest.mark.parametrize("backend", ["hls", "rtl"])
def test_the_default_fits(backend, large, tmp_path):
    """Pairs of 30 pixels are too many for a small part and few for a large one."""
    project = hls.translate(large, tmp_path / "small", "xc7z020", backend=backend, must_fit=True)
    report = read_report(project.directory)
    assert report["design"] == {"reduce": "stream", "io": "stream", "pixels_per_cycle": 32}
    (notice,) = [text for text in report["notices"] if "by pairs of pixels" in text]
    assert "--io stream --conv stream" in notice
    graph, way = read_model(large).graph, find_backend(backend)
    plenty = chosen_options(graph, Options(), 5.0, way, replace(find_part("xcvu9p"), luts=10_000_000))
    assert plenty == (Options(), ())


def test_the_smaller_at_a_target(large):
    """A stream takes 32 beats and 30 pixels; pairs in as many rounds are larger, and the only ones that are quicker."""
    graph, way, part = read_model(large).graph, find_backend("rtl"), find_part("xcvu9p")

    def chosen(**options):
        return chosen_options(graph, Options(**options), 5.0, way, part)[0].conv

    assert chosen(target_interval=100) == chosen(target_interval=100, io="stream") == "stream"
    assert chosen(target_interval=30) == "auto"


@pytest.mark.parametrize(
    "asked",
    [
        {"conv": "pairs"},
        {"io": "parallel"},
        {"reduce": "scan"},
        {"reduce": "stream"},
        {"reuse_factor": 2},
        {"scan_pixels": 2},
        {"layers": {"conv2": LayerOptions(implementation="gather")}},
        {"layers": {"conv1": LayerOptions(reuse_factor=3)}},
    ],
)
def test_what_is_asked_for_is_kept(asked, large):
    part = replace(find_part("xc7z020"), luts=2_000)
    options = Options(**asked)
    assert chosen_options(read_model(large).graph, options, 5.0, find_backend("hls"), part) == (options, ())


def test_exploring_has_streams(large):
    graph, part = read_model(large).graph, find_part("xc7z020")
    points = explore(graph, Options(), 5.0, part=part)
    assert {point.options.conv for point in points} == {"auto", "stream"}
    assert any(point.best for point in points if point.options.conv == "stream")
    # Pairs that need more than twice a part are not traced.
    found = explore(graph, Options(), 5.0, backend="rtl", part=replace(part, luts=6_000))
    assert {point.options.conv for point in found} == {"stream"}


def test_what_is_offered_fits(large, tmp_path, capsys):
    project = hls.translate(large, tmp_path / "first", "xc7z020", options=Options(conv="pairs"))
    (warning,) = read_report(project.directory)["estimate"]["warnings"]
    needs, offers = warning.split(": these fit by estimate: ")
    assert re.fullmatch(r"the estimate needs (\d+% of its (LUT|FF|DSP)(, )?)+ of xc7z020", needs)
    offer = next(one for one in offers.split("; ") if "--conv stream" in one)
    words, figures = re.fullmatch(r"(.*) \((.*)\)", offer).groups()
    command = [str(large), "--part", "xc7z020", "--must-fit", "-o", str(tmp_path / "second"), *shlex.split(words)]
    assert main(command) == 0
    total = read_report(tmp_path / "second")["estimate"]["total"]
    assert figures.startswith(f"{total['lut']:,} LUT, {total['latency_cycles']:,} cycles")
    assert "the estimate needs" not in capsys.readouterr().out


def test_offers_for_rtl(tmp_path):
    """What is offered fits a part of a few LUTs."""
    b = ModelBuilder(1, 16, 16).image().reduce(8).conv("conv1", 4).activation("act1").conv("conv2", 4).flatten()
    graph = read_model(b.dense("dense1", 4).save(tmp_path / "net.onnx")).graph
    part, way = replace(find_part("xc7z020"), luts=15_000), find_backend("rtl")
    offers = that_fit(graph, Options(reduce="scan"), 5.0, way, part)
    assert any("--conv stream" in offer for offer in offers)
    assert all(int(re.search(r"([\d,]+) LUT", offer)[1].replace(",", "")) <= part.luts for offer in offers)


def test_must_fit_makes_nothing(large, tmp_path, capsys):
    target = tmp_path / "net"
    assert main([str(large), "--part", "xc7z020", "--conv", "pairs", "--must-fit", "-o", str(target)]) == 2
    error = capsys.readouterr().err
    assert "model net does not fit: the estimate needs" in error
    assert "--io stream --conv stream (" in error
    assert not target.exists()
    with pytest.raises(SparsePixError, match="does not fit"):
        hls.translate(large, target, "xc7z020", must_fit=True, options=Options(io="parallel"))
    assert main([str(large), "--explore", "--must-fit", "-o", str(target)]) == 2
    assert "--explore makes no project: leave out --must-fit" in capsys.readouterr().err


def test_nothing_to_offer(tmp_path):
    """The largest pixels cannot be a stream, and 120 of them are too many for pairs."""
    b = ModelBuilder(1, 32, 32).image().reduce(120, selection="magnitude").conv("conv1", 8, (5, 5)).flatten()
    path = b.dense("dense1", 4).save(tmp_path / "net.onnx")
    project = hls.translate(path, tmp_path / "net", "xc7z020")
    (warning,) = read_report(project.directory)["estimate"]["warnings"]
    assert warning.endswith("of xc7z020: use more reuse (--target-interval), fewer max_pixels, or a larger part")


def test_a_stream_keeps_what_was_asked_of_other_layers(large):
    graph, way = read_model(large).graph, find_backend("rtl")
    own = {"dense1": LayerOptions(reuse_factor=2)}
    options, _ = chosen_options(graph, Options(target_interval=100, layers=own), 5.0, way, find_part("xcvu9p"))
    assert (options.conv, options.target_interval, dict(options.layers)) == ("stream", 100, own)
    assert backend_design(graph, options, 5.0, way)[0].how(graph.layers[-1]).reuse_factor == 2
