"""Convert ONNX files to hls4ml and write what hls4ml computes; runs where hls4ml is, and needs no torch.

    python hls4ml_results.py FOLDER

reads FOLDER/jobs.json, a list of objects: model (path), images (.npy), result (.npz to write), and what may be left
out: backend, options (of ``sparsepix_hls.Options``), then ('relu': a layer of hls4ml's own behind ours; 'saved': the
graph is saved and loaded first; 'between': a layer between ours, whose refusal is the result).
"""

import json
import sys
from pathlib import Path

import numpy as np

from sparsepix_hls import Options, SparsePixError
from sparsepix_hls.hls4ml import convert


def add_relu(graph):
    """A ReLU of hls4ml's own on the result."""
    size = graph.get_output_variables()[0].size()
    node = graph.make_node("Activation", "last", {"activation": "relu", "n_in": size}, [graph.outputs[0]])
    graph.insert_node(node)
    graph.apply_flow(graph.config.backend.get_default_flow(), reapply="all")


def put_between(graph):
    """A ReLU in front of an activation of ours; the message of the refusal."""
    ours = next(layer for layer in graph.get_layers() if layer.class_name == "SparsePixActivation")
    size = ours.get_input_variable().size()
    node = graph.make_node("Activation", "inside", {"activation": "relu", "n_in": size}, list(ours.inputs))
    graph.insert_node(node, before=ours)
    try:
        graph.apply_flow(graph.config.backend.get_default_flow(), reapply="all")
    except SparsePixError as error:
        return str(error)
    return ""


def run(job, folder):
    """The results of a job, by name."""
    options = Options(**job["options"]) if "options" in job else None
    graph = convert(job["model"], job.get("backend", "Vitis"), folder, options=options)
    then = job.get("then")
    if then == "between":
        return {"message": np.array(put_between(graph))}
    if then == "relu":
        add_relu(graph)
    if then == "saved":
        from hls4ml.utils.serialization import deserialize_model

        graph.save(folder.with_suffix(".fml"))
        graph = deserialize_model(folder.with_suffix(".fml"), output_dir=folder)
    images = np.load(job["images"])
    graph.compile()
    found = {"double": graph.predict(images), "single": graph.predict(images.astype(np.float32))}
    kinds = [layer.class_name for layer in graph.get_layers()]
    return {name: _side_by_side(result) for name, result in found.items()} | {"kinds": np.array(kinds)}


def _side_by_side(result):
    """Several outputs, [events, ...] each, as one array."""
    results = result if isinstance(result, list) else [result]
    return np.concatenate([np.asarray(r).reshape(len(r), -1) for r in results], axis=1)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for number, job in enumerate(json.loads((folder / "jobs.json").read_text(encoding="utf-8"))):
        np.savez(job["result"], **run(job, folder / f"graph{number}"))
