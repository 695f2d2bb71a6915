"""A trained model as an ONNX file that says what its classes are."""
