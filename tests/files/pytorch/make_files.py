"""Makes the files of this directory with PyTorch.

Run as `python tests/files/pytorch/make_files.py` with PyTorch 2.13 and
onnxscript. The tests compare what kd_keras computes from `.onnx` and
`.pt2` files with `expected.npz`, which is what PyTorch computed.
"""

import pathlib

import numpy as np
import torch

DIRECTORY = pathlib.Path(__file__).parent
SIZE = 8


class Network(torch.nn.Module):
    """A small network, images `(batch, 3, 8, 8)` -> 5 logits."""

    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Sequential(
            torch.nn.Conv2d(3, 6, 3, stride=2, padding=1),
            torch.nn.BatchNorm2d(6),
            torch.nn.ReLU(),
        )
        self.body = torch.nn.Conv2d(6, 7, 3)
        self.dropout = torch.nn.Dropout(0.5)
        self.head = torch.nn.Linear(7, 5)

    def forward(self, images):
        maps = torch.relu(self.body(self.stem(images / 255)))
        return self.head(self.dropout(maps.mean((2, 3))))


class Embedding(Network):
    """The same without its head: images -> 7 features."""

    def forward(self, images):
        return torch.relu(self.body(self.stem(images / 255))).mean((2, 3))


class TwoOutputs(Network):
    """The same with the features as its first output."""

    def forward(self, images):
        features = Embedding.forward(self, images)
        return features, self.head(features)


def network(kind=Network):
    """A `Network` in eval mode; the same one at each call."""
    torch.manual_seed(0)
    made = kind().eval()
    made.stem[1].running_mean.uniform_(-0.1, 0.1)
    made.stem[1].running_var.uniform_(0.5, 1.5)
    return made


def images(batch=7):
    """The images of `expected.npz`, channels last, uint8."""
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (batch, SIZE, SIZE, 3), dtype=np.uint8)


def as_input(batch):
    """Images as a tensor, channels first."""
    return torch.tensor(batch.transpose(0, 3, 1, 2)).float()


def write_onnx(name, module, *, batch, outputs):
    dynamic = {"dynamic_shapes": [{0: torch.export.Dim("batch")}]}
    program = torch.onnx.export(
        module,
        (as_input(images(batch or 2)),),
        dynamo=True,
        verbose=False,
        input_names=["images"],
        output_names=outputs,
        **({} if batch else dynamic),
    )
    for node in program.model.graph:
        node.metadata_props.clear()  # they have paths of this machine
    program.save(DIRECTORY / name)


def write_exported(name, module, *, batch=None):
    dynamic = {"dynamic_shapes": [{0: torch.export.Dim("batch")}]}
    program = torch.export.export(
        module, (as_input(images(batch or 2)),), **({} if batch else dynamic)
    )
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    torch.export.save(program, DIRECTORY / name)


def write_expected():
    made, batch = network(), as_input(images())
    with torch.no_grad():
        stem = made.stem(batch / 255)
        np.savez(
            DIRECTORY / "expected.npz",
            logits=made(batch).numpy(),
            features=network(Embedding)(batch).numpy(),
            # Channels last, as TensorFlow has them.
            stem=stem.numpy().transpose(0, 2, 3, 1),
        )


def main():
    write_onnx("dynamic.onnx", network(), batch=None, outputs=["scores"])
    write_onnx("batch_of_3.onnx", network(), batch=3, outputs=["scores"])
    write_onnx(
        "two_outputs.onnx",
        network(TwoOutputs),
        batch=None,
        outputs=["embedding", "scores"],
    )
    write_onnx(
        "embedding.onnx", network(Embedding), batch=None, outputs=["embedding"]
    )
    write_exported("dynamic.pt2", network())
    write_exported("batch_of_3.pt2", network(), batch=3)
    write_expected()


if __name__ == "__main__":
    main()
