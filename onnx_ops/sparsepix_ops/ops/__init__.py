"""The ops of the contract, one file each: ONNX function body, shape and range rules, integer reference."""
