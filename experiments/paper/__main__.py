"""Reproduces "Distilling the Knowledge in a Neural Network" (Hinton, 2015).

Each experiment is a configuration of the trainer (`configs/paper_mnist.py`,
`paper_cifar10.py`, `paper_twenty.py`), run with several seeds in
<workdir>/<experiment>/seed<n>/. Its result is a line of --results, and paper.md
and paper_grid.svg in --docs are written from these lines.

Examples:
  python -m experiments.paper --quick
  python -m experiments.paper
  python -m experiments.paper --experiments=teacher,soft,grid --seeds=1
  python -m experiments.paper --experiments=none

After an interruption the same command resumes: an experiment that has a result
with its present configuration is not run again. The last example only rewrites
the document. --quick takes one seed, shortened schedules and less of the data,
leaves out some experiments, and writes everything to <workdir>.
"""

import pathlib

from absl import flags

from kd_keras.utils import command_line, files, packages, quiet

flags.adopt_module_key_flags(command_line)
_EXPERIMENTS = flags.DEFINE_list(
    "experiments", ["all"], "Names of experiments or of their groups, or none."
)
_QUICK = flags.DEFINE_bool(
    "quick", False, "One seed, shortened schedules: minutes, not hours."
)
_RESTART = flags.DEFINE_bool(
    "restart",
    False,
    "Remove the runs and results of the experiments and start again.",
)
_SEEDS = flags.DEFINE_integer(
    "seeds",
    None,
    "Largest number of seeds of an experiment (default: all).",
    lower_bound=1,
    upper_bound=1000,
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory of the runs (default: runs/paper)."
)
_RESULTS = flags.DEFINE_string(
    "results", "results/paper.jsonl", "File of the results."
)
_DOCS = flags.DEFINE_string("docs", "docs", "Directory of paper.md.")


def main():
    packages.optional("matplotlib", extra="report")
    workdir = _WORKDIR.value or "runs/paper" + "_quick" * _QUICK.value
    results, docs = _RESULTS.value, _DOCS.value
    if _QUICK.value:
        results, docs = f"{workdir}/paper.jsonl", workdir

    with quiet.without_messages():
        from experiments.paper import catalogue, document, runner

    for name in ("paper.md", "paper_grid.svg"):
        files.check_output(pathlib.Path(docs) / name, by="paper")
    experiments = catalogue.choose(_EXPERIMENTS.value)
    lab = runner.Lab(workdir=workdir, results_path=results, quick=_QUICK.value)
    if _RESTART.value:
        lab.forget(experiments)
    try:
        for experiment in experiments:
            for seed in lab.plan.seeds(experiment)[: _SEEDS.value]:
                lab.result(experiment, seed)
    finally:
        path = document.write(lab.lines, docs)
    print(f"{path}, from {results}")


def cli():
    """Runs the command with the arguments of the command line."""
    command_line.run(main)


if __name__ == "__main__":
    cli()
