"""An ONNX file run by PyTorch, so that its values can be watched, rounded and trained."""
