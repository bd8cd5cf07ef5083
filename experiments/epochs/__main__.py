"""Accuracy against epochs: CIFAR-10, students without labels and baselines.

Each number of epochs is a training of its own, with its own schedule, in
<workdir>/<network>_<stage>_<epochs>/seed<n>/. Its result is a line of
--results, from which cifar10_epochs.md in --docs is written. The first student
also writes the store of the teacher's predictions, in <workdir>/store.

Examples:
  python -m experiments.epochs
  python -m experiments.epochs --networks=airbench --epochs=40 --seeds=1
  python -m experiments.epochs --epochs=none

After an interruption the same command resumes: an experiment that has a result
with its present configuration is not run again. The last example only rewrites
the document.
"""

import pathlib

from absl import flags

from kd_keras.utils import command_line, files, quiet

flags.adopt_module_key_flags(command_line)
_NETWORKS = flags.DEFINE_list(
    "networks", ["resnet8"], "Of airbench, resnet8, resnet12 and resnet20."
)
_STAGES = flags.DEFINE_list(
    "stages", ["student", "baseline"], "Of student and baseline."
)
_EPOCHS = flags.DEFINE_list(
    "epochs",
    ["10", "20", "50", "100", "200"],
    "Numbers of epochs, a training each; or none.",
)
_SEEDS = flags.DEFINE_integer(
    "seeds", 1, "Number of seeds.", lower_bound=1, upper_bound=1000
)
_WORKDIR = flags.DEFINE_string(
    "workdir", "runs/epochs", "Directory of the runs."
)
_RESULTS = flags.DEFINE_string(
    "results", "results/cifar10_epochs.jsonl", "File of the results."
)
_DOCS = flags.DEFINE_string(
    "docs", "docs/results", "Directory of cifar10_epochs.md."
)


def main():
    with quiet.without_messages():
        from experiments.epochs import document, runner

    path = pathlib.Path(_DOCS.value) / document.NAME
    files.check_output(path, by=document.BY)
    experiments = runner.choose(_NETWORKS.value, _STAGES.value, _EPOCHS.value)
    lab = runner.Lab(workdir=_WORKDIR.value, results_path=_RESULTS.value)
    try:
        lab.run(experiments, range(_SEEDS.value))
    finally:
        document.write(lab.lines, path)
    print(f"{path}, from {_RESULTS.value}")


def cli():
    """Runs the command with the arguments of the command line."""
    command_line.run(main)


if __name__ == "__main__":
    cli()
