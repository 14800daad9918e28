"""From an ONNX file to a project on disk, by either backend."""
