"""Loads a folder of photos and reads ten batches, in a process of its own.

    python -m benchmarks.photo_scale FOLDER

Prints a line of JSON: seconds from the start of loading to the first batch,
of the first batch alone, and the resident memory afterwards.
"""

import json
import sys
import time

from benchmarks import photo_pipelines


def main():
    began = time.perf_counter()
    examples = photo_pipelines.load(sys.argv[1])
    loaded = time.perf_counter()
    batches = iter(photo_pipelines.training_batches(examples))
    next(batches)
    first = time.perf_counter()
    for _ in range(9):
        next(batches)
    print(
        json.dumps(
            {
                "load_seconds": loaded - began,
                "first_batch_seconds": first - loaded,
                "start_seconds": first - began,
                "resident_mb": resident_mb(),
            }
        )
    )


def resident_mb():
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
