"""Times models of any format side by side, on this machine.

For each: the latency of a single picture and of a batch (median and 95th
percentile), pictures a second by number of threads, size, and the most memory
that its process took. Every model has a process of its own for each number of
threads; they run in turn, so that what disturbs the machine disturbs all.

Examples:
  python -m kd_keras.latency --output=latency.json \\
      --models=savedmodels/cifar10_teacher,student.tflite,student.onnx
  python -m kd_keras.latency --models=student.tflite --threads=1,2,4

Formats are those of kd_keras.evaluate. Latencies are those on the least
threads.
"""

import sys

from absl import flags

from kd_keras.utils import command_line, files, provenance, quiet

flags.adopt_module_key_flags(command_line)
_MODELS = flags.DEFINE_list("models", [], "Paths of the models, by commas.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Pictures of a batch.")
_THREADS = flags.DEFINE_list(
    "threads", [], "Numbers of threads (default: 1 and all cores)."
)
_ROUNDS = flags.DEFINE_integer(
    "rounds", 20, "Turns of each model, a quarter of a second each."
)
_OUTPUT = flags.DEFINE_string("output", None, "A JSON file with all of it.")


def main():
    if not _MODELS.value:
        raise ValueError("--models must name a model. Received: none")
    bad = [count for count in _THREADS.value if not count.isdigit()]
    if bad:
        raise ValueError(f"--threads must be numbers. Received: {bad[0]!r}")

    if _OUTPUT.value:
        files.check_output(_OUTPUT.value)
    with quiet.without_messages():
        import keras

        from kd_keras.deployment import timing

    progress = keras.utils.Progbar(
        None, verbose=int(sys.stdout.isatty()), unit_name="turn"
    )

    def show(turn, turns):
        progress.target = turns
        progress.update(turn)

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
        files.write_json_output(_OUTPUT.value, record, command=command)


def cli():
    """Runs the command with the arguments of the command line."""
    command_line.run(main)


if __name__ == "__main__":
    cli()
