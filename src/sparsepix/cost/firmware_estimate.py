"""What a model would take as firmware, estimated by the translator's command.

The translator runs as a process of its own: the ONNX file stays the only thing that passes from training to firmware,
and this package imports nothing of ``sparsepix_hls``.
"""

import importlib.util
import json
import sys
from dataclasses import dataclass

from torch import nn

from sparsepix.export.exporter import export_onnx
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system import processes
from sparsepix_ops.system.signals import temporary_folder


@dataclass(frozen=True)
class FirmwareEstimate:
    """Estimated, not synthesized: expect a factor of 1.5 either way.

    Args:
        latency_cycles: from the first pixel to the result.
        interval_cycles: between two events.
        lut: look-up tables.
        ff: flip-flops.
        dsp: multipliers.
    """

    latency_cycles: int
    interval_cycles: int
    lut: int
    ff: int
    dsp: int


def require_translator() -> None:
    """Raises SparsePixError unless ``sparsepix_hls`` is installed beside this package."""
    if importlib.util.find_spec("sparsepix_hls") is None:
        raise SparsePixError("estimates of firmware need the package sparsepix_hls, which is not installed here")


def firmware_estimate(model: nn.Module, part: str = "xcvu9p", clock_ns: float = 5.0) -> FirmwareEstimate:
    """Export a model, translate it, and read the estimate from the report. Takes about two seconds.

    Args:
        model: quantized, with an ``input_shape``.
        part: FPGA, as for ``sparsepix-hls``.
        clock_ns: clock period.

    Raises:
        SparsePixError: the translator is not installed; the model cannot be exported or translated.
    """
    require_translator()
    with temporary_folder("sparsepix-estimate-") as folder:
        onnx_file, project = folder / "model.onnx", folder / "project"
        export_onnx(model, onnx_file)
        options = ["-o", project, "--part", part, "--clock", str(clock_ns)]
        done = processes.run([sys.executable, "-m", "sparsepix_hls.cli.main", onnx_file, *options])
        if done.returncode:
            message = done.stderr.strip().removeprefix("error: ") or f"exit status {done.returncode}"
            raise SparsePixError(f"sparsepix-hls could not translate the model: {message}")
        total = json.loads((project / "report.json").read_text(encoding="utf-8"))["estimate"]["total"]
    return FirmwareEstimate(**{name: total[name] for name in FirmwareEstimate.__dataclass_fields__})
