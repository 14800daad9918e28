"""Designs placed and routed by Yosys and nextpnr, and what is said where that cannot be."""

import json

import pytest

import sparsepix_hls as hls
from onnx_models import ModelBuilder
from sparsepix_hls.cli.main import main
from sparsepix_hls.project.parts import PARTS, find_part
from sparsepix_hls.rtl.emit.scripts import nextpnr
from sparsepix_hls.rtl.tools import place as tool
from sparsepix_ops.errors import SparsePixError

PINS = "".join(
    f'LOCATE COMP "{port}" SITE "{site}";\nIOBUF PORT "{port}" IO_TYPE=LVCMOS33;\n'
    for port, site in zip(tool._PORTS, ("P3", "P4", "A4", "A5", "B3", "B4", "C4", "C3", "D3"), strict=True)
)


def tiny(tmp_path):
    model = ModelBuilder(1, 3, 4).image().reduce(2).conv("conv", 1).flatten().dense("dense", 1)
    return model.save(tmp_path / "net.onnx")


@pytest.mark.yosys
@pytest.mark.slow
def test_ecp5(tmp_path, capsys):
    """The whole way, with pins and a bitstream; the table and the report say the same."""
    (tmp_path / "pins.lpf").write_text(PINS)
    words = ["--backend", "rtl", "--part", "lfe5u-25f", "--clock", "10", "--place", "--reuse-factor", "2"]
    files = ["--pins", str(tmp_path / "pins.lpf"), "-o", str(tmp_path / "net")]
    status = main([str(tiny(tmp_path)), *words, *files])
    shown = " ".join(capsys.readouterr().out.split())
    assert status == 0
    report = json.loads((tmp_path / "net" / "report.json").read_text())
    placed = report["placed"]
    assert placed["fmax_mhz"] > 100 == placed["asked_mhz"]
    assert placed["cells"]["lut"][1] == 24_288
    assert 0 < placed["cells"]["ff"][0] < placed["cells"]["lut"][0] < 3000
    assert placed["path"]["ns"] == pytest.approx(1000 / placed["fmax_mhz"], rel=0.01)
    assert 0 < placed["path"]["routing_ns"] < placed["path"]["ns"]
    assert placed["path"]["stage"] in {stage["name"] for stage in report["estimate"]["stages"]}
    assert f"clock: {placed['fmax_mhz']:.1f} MHz, asked for 100.0 MHz longest path:" in shown
    assert (tmp_path / "net" / placed["bitstream"]).stat().st_size > 100_000
    assert main(["report", str(tmp_path / "net")]) == 0
    assert f"clock: {placed['fmax_mhz']:.1f} MHz" in capsys.readouterr().out
    # --force knows what the tools left there.
    again = [str(tiny(tmp_path)), "--backend", "rtl", "--part", "lfe5u-25f", "-o", str(tmp_path / "net"), "--force"]
    assert main(again) == 0


@pytest.mark.yosys
@pytest.mark.slow
def test_gowin(tmp_path):
    project = hls.translate(
        tiny(tmp_path), tmp_path / "net", "gw2a-18", 20.0, backend="rtl", options=hls.Options(reuse_factor=2)
    )
    found = project.place(20.0)
    assert found.fmax_mhz > 40
    assert found.cells["lut"][1] > 15_000
    assert 0 < found.cells["ff"][0] < 3000


@pytest.mark.yosys
def test_time_is_over(tmp_path):
    project = hls.translate(tiny(tmp_path), tmp_path / "net", "lfe5u-25f", backend="rtl")
    with pytest.raises(SparsePixError, match=r"mapping with Yosys: not done after 0.001 minutes: give --place-minutes"):
        project.place(5.0, minutes=0.001)


@pytest.mark.yosys
def test_it_does_not_fit(tmp_path, monkeypatch):
    """What nextpnr says is passed on, with the log to look at."""
    project = hls.translate(tiny(tmp_path), tmp_path / "net", "lfe5u-25f", backend="rtl")
    script = project.directory / "place" / "place.ys"
    script.write_text("read_verilog no_such_file.sv\n")
    with pytest.raises(SparsePixError, match=r"(?s)mapping with Yosys: .*no_such_file.*place_yosys.log"):
        project.place(5.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--place"], "nextpnr places on Lattice ECP5 and Gowin, found xcvu9p-flga2104-2L-e: use --part lfe5u-85f"),
        (["--pins", "x.lpf"], "--pins and --place-minutes are for --place, which is not given"),
        (["--place", "--part", "lfe5u-85f", "--pins", "none.lpf"], "--pins none.lpf: no such file"),
        (["--place", "--part", "lfe5u-85f", "--place-minutes", "0"], "expected minutes above 0, found 0"),
        (["--synthesize", "--part", "lfe5u-85f"], "found Lattice ECP5: use --place, which maps the whole design"),
    ],
)
def test_bad_arguments(words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        raise SystemExit(main([str(tiny(tmp_path)), "--backend", "rtl", *words]))
    assert end.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx"]


def test_vitis_has_no_lattice(tmp_path, capsys):
    assert main([str(tiny(tmp_path)), "--part", "lfe5u-85f"]) == 2
    assert "Vitis HLS compiles for AMD's FPGAs only, found Lattice ECP5: use --backend rtl" in capsys.readouterr().err


def test_full_names():
    assert find_part("LFE5U-45F-6BG256I").name == "lfe5u-45f"
    assert nextpnr(find_part("LFE5U-45F-6BG256I"), 10.0)[1][:5] == ["--45k", "--speed", "6", "--package", "CABGA256"]
    assert nextpnr(find_part("lfe5um5g-85f"), 10.0)[1][0] == "--um5g-85k"
    assert find_part("GW5AST-LV138FPG676AC1/I0").luts == 138_240
    assert not find_part("LFE5U-12F-6BG256C").known
    fabrics = {part.name: part.fabric for part in PARTS if part.fabric != "amd"}
    assert fabrics == dict.fromkeys(("lfe5u-25f", "lfe5u-45f", "lfe5u-85f", "lfe5um5g-85f"), "ecp5") | dict.fromkeys(
        ("gw2a-18", "gw5a-25", "gw5ast-138"), "gowin"
    )
