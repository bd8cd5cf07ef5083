"""Measures contestants in one process of the benchmark.

    python -m benchmarks.worker KIND NETS IMAGES

reads the names of contestants from stdin, a line each, and answers each with a
line of JSON: `rate`, images a second of one round, and `peak_mb`, the peak
memory of the process. KIND is `tensorflow` or `torch`, NETS is `airbench` or
`resnet`, IMAGES a `.npy` file. Workers wait idle between names, so that several
alternate on one machine.
"""

import json
import os
import resource
import sys
import time

import numpy as np

BATCH = 256


def main():
    kind, nets, images_path = sys.argv[1:4]
    images = np.load(images_path)
    # Output of libraries must not be mistaken for an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    contestants = (torch if kind == "torch" else tensorflow)(nets, images)
    answers.write(json.dumps({"ready": sorted(contestants)}) + "\n")
    for line in sys.stdin:
        began = time.perf_counter()
        count = contestants[line.strip()]()
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        answers.write(
            json.dumps({"rate": count / seconds, "peak_mb": peak}) + "\n"
        )


def torch(nets, images):
    """PyTorch's contestants, with the number of threads that is fastest."""
    import torch

    from benchmarks import torch_nets

    trial = torch_nets.Loop(nets, images[: 4 * BATCH], BATCH)
    seconds = {}
    for threads in range(1, torch.get_num_threads() + 1):
        torch.set_num_threads(threads)
        trial.live()
        began = time.perf_counter()
        trial.live()
        seconds[threads] = time.perf_counter() - began
    torch.set_num_threads(min(seconds, key=seconds.get))
    return torch_nets.Loop(nets, images, BATCH).contestants()


def tensorflow(nets, images):
    """The contestants of kd_keras and of Keras."""
    from benchmarks import tensorflow_loops

    batch = min(BATCH, len(images))
    return tensorflow_loops.Loops(nets, images, batch).contestants()


if __name__ == "__main__":
    main()
