"""A design that does not fit its part: what the warning offers fits, and --must-fit makes nothing."""

import re
import shlex
from dataclasses import replace

import pytest

import sparsepix_hls as hls
from onnx_models import ModelBuilder
from sparsepix_hls.cli.main import main
from sparsepix_hls.design.options import Options
from sparsepix_hls.flow.backends import find_backend
from sparsepix_hls.flow.fits import that_fit
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


def test_what_is_offered_fits(large, tmp_path, capsys):
    project = hls.translate(large, tmp_path / "first", "xc7z020")
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
    assert main([str(large), "--part", "xc7z020", "--must-fit", "-o", str(target)]) == 2
    error = capsys.readouterr().err
    assert "model net does not fit: the estimate needs" in error
    assert "--io stream --conv stream (" in error
    assert not target.exists()
    with pytest.raises(SparsePixError, match="does not fit"):
        hls.translate(large, target, "xc7z020", must_fit=True)
    assert main([str(large), "--explore", "--must-fit", "-o", str(target)]) == 2
    assert "--explore makes no project: leave out --must-fit" in capsys.readouterr().err


def test_nothing_to_offer(tmp_path):
    """The largest pixels cannot be a stream, and 120 of them are too many for pairs."""
    b = ModelBuilder(1, 32, 32).image().reduce(120, selection="magnitude").conv("conv1", 8, (5, 5)).flatten()
    path = b.dense("dense1", 4).save(tmp_path / "net.onnx")
    project = hls.translate(path, tmp_path / "net", "xc7z020")
    (warning,) = read_report(project.directory)["estimate"]["warnings"]
    assert warning.endswith("of xc7z020: use more reuse (--target-interval), fewer max_pixels, or a larger part")
