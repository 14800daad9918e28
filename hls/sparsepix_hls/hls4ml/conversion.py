"""From an ONNX file of ours to hls4ml's ``ModelGraph``."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sparsepix_hls.cpp.writer import DEFAULT_BITS, widest_integer
from sparsepix_hls.design.checks import check_clock
from sparsepix_hls.design.options import Options
from sparsepix_hls.flow.backends import backend_design, find_backend
from sparsepix_hls.frontend.reader import read_model
from sparsepix_hls.hls4ml.source import design_source
from sparsepix_hls.ir.dims import dims
from sparsepix_hls.kernels.constants import type_name as cpp_type
from sparsepix_hls.project.parts import find_part
from sparsepix_ops.errors import SparsePixError
from sparsepix_ops.system.tools import missing

BACKENDS = ("Vitis", "Vivado")  # of hls4ml: those whose C++ has ap_fixed
TESTED = "1.3"
_TAKEN = ("input", "result", "model_default")  # hls4ml's own names of layers and, with '_t', of types
_TAKEN_TOPS = ("nnet", "defines", "parameters")  # its namespace, and headers of its projects


def convert(
    model: Path | str,
    backend: str = "Vitis",
    output_dir: Path | str | None = None,
    part: str = "xcvu9p",
    clock_ns: float = 5.0,
    options: Options | None = None,
    keep_head: bool = False,
) -> Any:
    """Convert an ONNX model to an hls4ml ``ModelGraph``, whose results are ours bit for bit.

    Every layer of the model is a node of the graph, with its formats; they are computed by our kernels in the stages of
    our own projects, in hls4ml's dataflow style. ``graph.compile()``, ``predict``, ``build`` and hls4ml's reports work
    as on any other graph, and nodes of hls4ml can follow ours.

    Args:
        model: the ONNX file.
        backend: of hls4ml: 'Vitis' or 'Vivado'.
        output_dir: where hls4ml writes its project, which replaces files there; 'MODEL_hls4ml' if left out.
        part: FPGA, as a short name ('xcvu9p') or a full one.
        clock_ns: clock period in nanoseconds.
        options: kernels and reuse, as of ``sparsepix_hls.translate``; its ports must be parallel.
        keep_head: convert a Sigmoid or Softmax at the end too, which is left out otherwise.

    Returns:
        The ``hls4ml.model.ModelGraph``. Its input is [channels, height, width], row-major; ``predict`` takes float32 or
        float64 [events, channels, height, width], and gives the results in the same type: float64 holds every bit.

    Raises:
        SparsePixError: hls4ml is missing or of another release; the backend, the part, the clock, the options or the
            model are not usable.
    """
    if backend not in BACKENDS:
        raise SparsePixError(f"backend: expected one of {', '.join(map(repr, BACKENDS))}, found {backend!r}")
    check_hls4ml()
    clock_ns = check_clock(clock_ns)
    device = find_part(part)
    path = Path(model)
    name = f"{path.stem}_top" if path.stem.lower() in _TAKEN_TOPS else None
    graph = read_model(path, keep_head, name).graph
    design, _ = backend_design(graph, options, clock_ns, find_backend("hls"))
    problems = [
        f"output {name!r} is {dims(tensor.shape)}: hls4ml's results are vectors; end the model with a SparseFlatten "
        "or a global pool"
        for name, tensor in graph.results.items()
        if len(tensor.shape) != 1
    ]
    if design.io != "parallel":
        problems.append(f"io: expected 'parallel', found {design.io!r}: hls4ml has streams of its own")
    if (widest := widest_integer(design)) > DEFAULT_BITS:
        problems.append(f"an ap_uint of {widest:,} bits: in hls4ml's projects they have at most {DEFAULT_BITS:,}")
    if problems:
        raise SparsePixError(problems, heading=f"model {graph.name} cannot be converted to hls4ml")
    from hls4ml.backends import get_backend
    from hls4ml.model import ModelGraph

    from sparsepix_hls.hls4ml.layers import layer_class, prepare_backend

    prepare_backend(backend)
    image_name = _free(graph.input.name)
    source = design_source(design, image_name)
    coords = {name for layer in graph.layers for name in layer.grids}
    image = {"class_name": "Input", "name": image_name, "input_shape": list(graph.input.shape)}
    layers = [image | {"type_name": f"{image_name}_t"}]
    # Of the design's graph: a flatten and its dense layer may be one kernel.
    results = {tensor.name for tensor in graph.outputs}
    for layer in design.graph.layers:
        tensors = [
            (_free(t.name), t.name, list(t.shape), str(t.type), t.name in coords, t.name in results)
            for t in layer.outputs
        ]
        layers.append(
            {
                "class_name": layer_class(type(layer).__name__),
                "name": _free(layer.name),
                "inputs": [_free(tensor.name) for tensor in layer.inputs],
                "outputs": [_free(tensor.name) for tensor in layer.outputs],
                "tensors": tensors,
                "source": source.layers[layer.name],
                "headers": source.headers,
                "calls": None,
            }
        )
    edges = [(layer["name"], list(layer["inputs"])) for layer in layers[1:]]  # hls4ml changes its lists
    layers[-1] |= {
        "calls": [line.strip() for line in source.calls],
        "edges": edges,
        "source": layers[-1]["source"] + source.stages,
    }
    folder = Path(output_dir if output_dir is not None else f"{graph.name}_hls4ml").absolute()
    image_precision = {image_name: {"Precision": {"result": cpp_type(graph.input.type)}}}
    config = get_backend(backend).create_initial_config(part=device.full_name, clock_period=clock_ns)
    config |= {"Backend": backend, "ProjectName": graph.name, "OutputDir": str(folder)}
    config["HLSConfig"] = {
        "Model": {"Precision": "ap_fixed<16,6>", "ReuseFactor": 1, "PipelineStyle": "dataflow"},
        "LayerName": image_precision,
    }
    makers = {tensor.name: _free(layer.name) for layer in design.graph.layers for tensor in layer.outputs}
    return ModelGraph.from_layer_list(config, layers, [image_name], [makers[t.name] for t in graph.outputs])


def _free(name: str) -> str:
    """A name that hls4ml has not taken."""
    return f"{name}_v" if name in _TAKEN else name


def check_hls4ml() -> None:
    """Check that the release of hls4ml that we were tested with is there.

    Raises:
        SparsePixError: it is not; says how to install it.
    """
    try:
        found = version("hls4ml")
    except PackageNotFoundError:
        raise missing("sparsepix_hls.hls4ml.convert", "hls4ml") from None
    if not found.startswith(f"{TESTED}."):
        raise SparsePixError(f"hls4ml: expected release {TESTED}, found {found}: pip install 'sparsepix[hls4ml]'")
