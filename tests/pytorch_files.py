"""Files that PyTorch made, and PyTorch's outputs of the same network."""

import pathlib

import numpy as np

FILES = pathlib.Path(__file__).parent / "files" / "pytorch"
# Logits, pooled features and feature maps of `IMAGES`.
EXPECTED = np.load(FILES / "expected.npz", allow_pickle=False)
# The same images as `make_files.images`.
IMAGES = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3), "uint8")


def assert_close(values, expected):
    np.testing.assert_allclose(values, expected, atol=1e-4)
