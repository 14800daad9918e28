"""The layers, one file each: from ONNX, as C++, as RTL, and what they cost."""
