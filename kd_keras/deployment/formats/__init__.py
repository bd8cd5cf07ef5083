"""The export formats. Importing them does not import TensorFlow."""

from kd_keras.deployment.formats import c_array, litert, litert_int8, onnx

FORMATS = {
    format.name: format
    for format in (
        litert.FORMAT,
        litert_int8.FORMAT,
        onnx.FORMAT,
        c_array.FORMAT,
    )
}


def descriptions():
    """Returns names and descriptions of all formats, as indented columns."""
    width = max(map(len, FORMATS)) + 2
    return "\n".join(
        f"  {format.name:{width}}{format.description}"
        for format in FORMATS.values()
    )
