"""From a model to an ONNX file of the contract."""
