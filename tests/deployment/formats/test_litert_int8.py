"""The int8 file computes in integers."""

import numpy as np
import pytest


@pytest.mark.slow
def test_int8_uses_integers_from_image_to_logits(output):
    from ai_edge_litert import interpreter as litert

    path = output / "digits_int8.tflite"
    interpreter = litert.Interpreter(str(path))
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    (target,) = interpreter.get_output_details()
    # A step of the input is a step of the image.
    assert source["dtype"] == np.uint8
    assert source["quantization"] == (1.0, 0)
    assert target["dtype"] == np.int8
    tensors = interpreter.get_tensor_details()
    assert {np.dtype(t["dtype"]).kind for t in tensors} <= {"i", "u"}
    # One scale for each of the convolution's 8 channels.
    scales = [len(t["quantization_parameters"]["scales"]) for t in tensors]
    assert 8 in scales
