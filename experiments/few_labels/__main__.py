"""Few labels and a network trained elsewhere: CIFAR-10 and EfficientNet-Lite0.

EfficientNet-Lite0, trained on ImageNet, embeds the images of CIFAR-10. A linear
head on the labels of a few images makes it a teacher of a small student. Each
experiment is a configuration of the trainer (`configs/cifar10_few_labels.py`),
run with several seeds in <workdir>/<experiment>/seed<n>/. Its result is a line
of --results, from which cifar10_few_labels.md in --docs is written.

Examples:
  python -m experiments.few_labels
  python -m experiments.few_labels --experiments=labels_50 --seeds=1
  python -m experiments.few_labels --experiments=none

After an interruption the same command resumes: an experiment that has a result
with its present configuration is not run again. The last example only rewrites
the document.
"""

import pathlib

from absl import flags

from kd_keras.utils import command_line, files, quiet

flags.adopt_module_key_flags(command_line)
_EXPERIMENTS = flags.DEFINE_list(
    "experiments",
    ["all"],
    "Names of experiments, of kinds (soft), of labels (labels_50), or none.",
)
_SEEDS = flags.DEFINE_integer(
    "seeds", 3, "Number of seeds.", lower_bound=1, upper_bound=1000
)
_WORKDIR = flags.DEFINE_string(
    "workdir", "runs/few_labels", "Directory of the runs."
)
_RESULTS = flags.DEFINE_string(
    "results", "results/few_labels.jsonl", "File of the results."
)
_DOCS = flags.DEFINE_string(
    "docs", "docs/results", "Directory of cifar10_few_labels.md."
)


def main():
    with quiet.without_messages():
        from experiments.few_labels import catalogue, document, runner

    path = pathlib.Path(_DOCS.value) / document.NAME
    files.check_output(path, by=document.BY)
    experiments = catalogue.choose(_EXPERIMENTS.value)
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
