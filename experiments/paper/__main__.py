"""Runs the experiments of "Distilling the Knowledge in a Neural Network".

Each is a configuration of the ordinary trainer (configs/paper_mnist.py and
configs/paper_cifar10.py), run with several seeds. A run lies in
<workdir>/<experiment>/seed<n>/, its result is a line of --results, and
paper.md and paper_grid.svg in --docs are made of those lines.

Examples:
  python -m experiments.paper --quick
  python -m experiments.paper
  python -m experiments.paper --experiments=teacher,soft,grid --seeds=1
  python -m experiments.paper --experiments=none

The same command goes on after an interruption: an experiment whose line is
there, with the configuration that it has now, is not run again. The last
example only writes the document anew. --quick takes one seed, shortened
schedules, less of the data, one of the two means of an ensemble, no mixed
pictures and the specialists of twenty classes alone, and keeps all in
<workdir>.
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
    "Begin the experiments anew: removes their runs and results.",
)
_SEEDS = flags.DEFINE_integer(
    "seeds", None, "Seeds of each experiment at most (default: all it has)."
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Where runs are kept (default: runs/paper)."
)
_RESULTS = flags.DEFINE_string(
    "results", "results/paper.jsonl", "Where results are kept."
)
_DOCS = flags.DEFINE_string("docs", "docs", "Where paper.md goes.")


def main():
    packages.optional("matplotlib", extra="report")
    workdir = _WORKDIR.value or "runs/paper" + "_quick" * _QUICK.value
    results, docs = _RESULTS.value, _DOCS.value
    if _QUICK.value:
        results, docs = f"{workdir}/paper.jsonl", workdir

    with quiet.without_messages():
        from experiments.paper import document as paper_report
        from experiments.paper import lab as paper_lab

    for name in ("paper.md", "paper_grid.svg"):
        files.check_output(pathlib.Path(docs) / name)
    experiments = paper_lab.choose(_EXPERIMENTS.value)
    lab = paper_lab.Lab(workdir=workdir, results=results, quick=_QUICK.value)
    if _RESTART.value:
        lab.forget(experiments)
    try:
        for experiment in experiments:
            for seed in lab.seeds(experiment)[: _SEEDS.value]:
                lab.result(experiment, seed)
    finally:
        document = paper_report.write(lab.lines, docs)
    print(f"{document}, from {results}")


def cli():
    """Runs the command with the arguments of the command line."""
    command_line.run(main)


if __name__ == "__main__":
    cli()
