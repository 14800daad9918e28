"""From an ONNX file to the intermediate representation."""
