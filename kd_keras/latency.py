"""Times models of any format side by side on this machine.

For each model: the latency of a single image and of a batch (median and 95th
percentile), images per second by number of threads, size, and peak memory.
Every model has its own process for each number of threads. The processes take
turns, so that other work on the machine slows down all of them alike.

Examples:
  kd-keras latency --output=latency.json \\
      --models=savedmodels/cifar10_teacher,student.tflite,student.onnx
  kd-keras latency --models=student.tflite --threads=1,2,4

Takes the same formats as kd-keras evaluate. Latencies and memory are measured
with the lowest number of threads.
"""

from kd_keras.utils import interruption

if __name__ == "__main__":
    # Before the imports that take time.
    interruption.exit_at_once()

import re

from absl import flags

from kd_keras.utils import command_line, files, progress, provenance

flags.adopt_module_key_flags(command_line)
_MODELS = flags.DEFINE_list(
    "models", [], "Paths of the models, separated by commas."
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size",
    64,
    "Images in a batch.",
    lower_bound=1,
    upper_bound=65_536,
)
_THREADS = flags.DEFINE_list(
    "threads", [], "Numbers of threads (default: 1 and all cores)."
)
_ROUNDS = flags.DEFINE_integer(
    "rounds",
    20,
    "Turns of each process, a quarter of a second each.",
    lower_bound=1,
    upper_bound=10_000,
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "JSON file to write the results to."
)


def main():
    if not _MODELS.value:
        raise ValueError("--models must name a model. Received: none")
    for count in _THREADS.value:
        if not re.fullmatch("[1-9][0-9]{0,2}", count):
            raise ValueError(
                "--threads must be whole numbers from 1 to 999, separated by "
                f"commas. Received: {count!r}"
            )

    if _OUTPUT.value:
        files.check_output(_OUTPUT.value, by="latency")
    with command_line.importing():
        from kd_keras.deployment import timing

        bar = progress.bar(None, "turn")

    def show(turn, turns):
        bar.target = turns
        bar.update(turn)

    rows = timing.measure(
        _MODELS.value,
        batch_size=_BATCH_SIZE.value,
        threads=[int(count) for count in _THREADS.value],
        rounds=_ROUNDS.value,
        on_turn=show,
    )
    print(timing.table(rows, batch_size=_BATCH_SIZE.value))
    if _OUTPUT.value:
        command = command_line.command("kd_keras.latency")
        versions = provenance.versions()
        record = {
            "command": command,
            "hardware": {
                key: versions[key] for key in ("processor", "threads")
            },
            "versions": versions,
            "batch_size": _BATCH_SIZE.value,
            "models": rows,
        }
        files.write_json_output(
            _OUTPUT.value, record, by="latency", command=command
        )


def cli():
    """Runs the command with the arguments of the command line."""
    command_line.run(main)


if __name__ == "__main__":
    cli()
