"""Reports of Vitis HLS, in the form in which the tool writes them."""

import re

import pytest

from onnx_models import whole_model
from sparsepix_hls import translate
from sparsepix_hls.cli.main import main
from sparsepix_hls.cpp.vitis_report import read_vitis
from sparsepix_ops.errors import SparsePixError

CSYNTH = """<?xml version="1.0" encoding="UTF-8"?>
<profile>
<section name="Vitis HLS Report for '{name}'" level="0"><item name="Date">Tue Nov 24 10:00:00 2026</item></section>
<ReportVersion><Version>2023.1</Version></ReportVersion>
<UserAssignments>
  <unit>ns</unit>
  <ProductFamily>virtexuplus</ProductFamily>
  <Part>xcvu9p-flga2104-2L-e</Part>
  <TopModelName>{name}</TopModelName>
  <TargetClockPeriod>5.00</TargetClockPeriod>
</UserAssignments>
<PerformanceEstimates>
  <PipelineType>dataflow</PipelineType>
  <SummaryOfTimingAnalysis><unit>ns</unit><EstimatedClockPeriod>3.571</EstimatedClockPeriod></SummaryOfTimingAnalysis>
  <SummaryOfOverallLatency>
    <unit>clock cycles</unit>
    <Best-caseLatency>{latency}</Best-caseLatency>
    <Average-caseLatency>{latency}</Average-caseLatency>
    <Worst-caseLatency>{latency}</Worst-caseLatency>
    <Best-caseRealTimeLatency>0.190 us</Best-caseRealTimeLatency>
    <DataflowPipelineThroughput>21</DataflowPipelineThroughput>
    <Interval-min>{interval}</Interval-min>
    <Interval-max>{interval}</Interval-max>
  </SummaryOfOverallLatency>
</PerformanceEstimates>
<AreaEstimates>
  <Resources><BRAM_18K>2</BRAM_18K><DSP>3</DSP><FF>456</FF><LUT>{lut}</LUT><URAM>0</URAM></Resources>
  <AvailableResources><BRAM_18K>4320</BRAM_18K><DSP>6840</DSP><FF>2364480</FF><LUT>1182240</LUT><URAM>960</URAM></AvailableResources>
</AreaEstimates>
</profile>
"""
COSIM = """
+----------+----------+-----------------------------------------------+-----------------------------------------------+
|          |          |              Latency(Clock Cycles)            |              Interval(Clock Cycles)           |
+   RTL    +  Status  +-----------------------------------------------+-----------------------------------------------+
|          |          |      min      |      avg      |      max      |      min      |      avg      |      max      |
+----------+----------+-----------------------------------------------+-----------------------------------------------+
|      VHDL|        NA|             NA|             NA|             NA|             NA|             NA|             NA|
|   Verilog|      Pass|             38|             38|             41|             21|             21|             21|
+----------+----------+-----------------------------------------------+-----------------------------------------------+
"""
EXPORT = """<profile>
<RunData><RUN_TYPE>syn</RUN_TYPE></RunData>
<TimingReport><TargetClockPeriod>5.000</TargetClockPeriod><AchievedClockPeriod>4.1</AchievedClockPeriod></TimingReport>
<AreaReport>
  <Resources><BRAM>1</BRAM><CLB>700</CLB><DSP>3</DSP><FF>789</FF><LUT>1234</LUT><SRL>7</SRL><URAM>0</URAM></Resources>
  <AvailableResources><LUT>1182240</LUT></AvailableResources>
</AreaReport>
</profile>
"""


@pytest.fixture
def project(tmp_path):
    return translate(whole_model().save(tmp_path / "net.onnx"), tmp_path / "project").directory


def run_vitis(directory, cosim=False, export=False):
    """The files that the steps of build.tcl leave."""
    solution = directory / "vitis" / "solution"
    reports = solution / "syn" / "report"
    reports.mkdir(parents=True)
    for name, latency, lut in (("net", 38, 5000), ("net_reduce", 12, 2000), ("net_layers", "undef", 3000)):
        text = CSYNTH.format(name=name, latency=latency, interval=21, lut=lut)
        (reports / f"{name}_csynth.xml").write_text(text)
    if cosim:
        (solution / "sim" / "report").mkdir(parents=True)
        (solution / "sim" / "report" / "net_cosim.rpt").write_text(COSIM)
    if export:
        folder = solution / "impl" / "report" / "verilog"
        folder.mkdir(parents=True)
        (folder / "net_export.xml").write_text(EXPORT)
    return reports


def test_no_vitis(project, capsys):
    assert read_vitis(project, "net") is None
    assert main(["report", str(project)]) == 0
    assert "Vitis HLS has not run in this project" in capsys.readouterr().out


def test_synthesis_only(project):
    run_vitis(project)
    found = read_vitis(project, "net")
    assert list(found.modules) == ["", "layers", "reduce"]
    whole = {"latency_cycles": 38, "interval_cycles": 21, "lut": 5000, "ff": 456, "dsp": 3, "bram": 2, "uram": 0}
    assert found.modules[""] == whole
    assert found.modules["layers"]["latency_cycles"] is None
    assert (found.clock_ns, found.cosim_latency, found.vivado) == (3.571, None, None)


def test_everything(project, capsys):
    run_vitis(project, cosim=True, export=True)
    found = read_vitis(project, "net")
    assert found.cosim_latency == (38, 41)
    assert found.vivado == {"lut": 1234, "ff": 789, "dsp": 3, "bram": 1}
    assert main(["report", str(project)]) == 0
    text = capsys.readouterr().out
    for word in ("5,000", "2,000", "1,234", "38 to 41 cycles", "3.571 ns"):
        assert word in text
    assert "estimated latency" in text
    # The page for a browser has them beside the estimate, and those nearest to the hardware in its head.
    page = (project / "report.html").read_text()
    cards = re.findall(r'data-key="(\w+)">.*?>([\w -]+)</span></div><div class="value">([\d,]+)', page)
    found = {key: (kind, figure) for key, kind, figure in cards}
    assert found["latency_cycles"] == ("co-simulated", "41")
    assert found["interval_cycles"] == ("Vitis HLS", "21")
    assert found["lut"] == ("Vivado", "1,234")
    stage = re.search(r'<tbody data-stage="reduce">.*?</tbody>', page)[0]
    assert re.search(r'<tr data-kind="Vitis HLS">.*?<td>12<.*?<td>21<.*?<td>2,000<', stage)


def test_a_broken_report(project, capsys):
    (run_vitis(project) / "net_reduce_csynth.xml").write_text("<profile><Perf")
    with pytest.raises(SparsePixError, match=r"net_reduce_csynth\.xml: expected a report of Vitis HLS, found no XML"):
        read_vitis(project, "net")
    assert main(["report", str(project)]) == 2
    assert "run it again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: None, "found no such folder"),
        (lambda folder: folder.mkdir(), "found a folder without report.json"),
        (lambda folder: (folder.mkdir(), (folder / "report.json").write_text("{")), "expected JSON"),
        (lambda folder: (folder.mkdir(), (folder / "report.json").write_text("[]")), "found other content"),
    ],
)
def test_no_project(tmp_path, capsys, make, reason):
    make(tmp_path / "x")
    assert main(["report", str(tmp_path / "x")]) == 2
    assert reason in capsys.readouterr().err
