"""No command removes or replaces files of others, whatever its paths.

Each path flag of each command names a folder, a file, and links to both. All
of them are somebody else's, and all are in a scratch directory.
"""

import pytest
from commands import REPOSITORY, run_forked
from scratch import KINDS, occupy, tree

MODEL = REPOSITORY / "savedmodels" / "mnist_student"
DATA = "--config.data.max_train_examples=500"
TRAIN = ("--stage=teacher", "--config.teacher.epochs=1", DATA)
RUN = {"--workdir": ["", "teacher"], "--savedmodels": ["", "mnist_teacher"]}
EXPORTED = ["", "mnist_student.tflite", "model_card.md", "exports.json"]
PAPER = ("--experiments=teacher", "--seeds=1")
PAPER_RUN = {"--workdir": ["teacher/seed0/teacher"]}

# Flags of each command, and for each path flag the paths that the command would
# write below the given path: "" is the given path itself.
TARGETS = {
    "kd_keras.evaluate": [((f"--model={MODEL}",), {"--output": [""]})],
    "kd_keras.latency": [((f"--models={MODEL}",), {"--output": [""]})],
    "kd_keras.views": [(("--count=1", "--views=1"), {"--output": [""]})],
    "kd_keras.report": [(("--name=mnist",), {"--output": [""]})],
    "kd_keras.export": [
        (
            (f"--model={MODEL}", "--data.name=mnist", "--formats=litert"),
            {"--output": EXPORTED},
        )
    ],
    "kd_keras.label": [
        (
            (f"--config.teacher.path={MODEL}", DATA),
            {"--workdir": ["", "store"]},
        )
    ],
    "kd_keras.train": [(TRAIN, RUN), ((*TRAIN, "--restart"), RUN)],
    "experiments.paper.__main__": [
        (
            ("--experiments=none",),
            {"--results": [""], "--docs": ["", "paper.md", "paper_grid.svg"]},
        ),
        (
            ("--experiments=none", "--quick"),
            {"--workdir": ["", "paper.jsonl", "paper.md", "paper_grid.svg"]},
        ),
        (PAPER, PAPER_RUN),
        ((*PAPER, "--restart"), PAPER_RUN),
    ],
}
# Flags whose folders may contain files of others.
SHARED_FOLDERS = [
    ("kd_keras.export", "--output"),
    ("kd_keras.label", "--workdir"),
    ("kd_keras.train", "--workdir"),
    ("kd_keras.train", "--savedmodels"),
    ("experiments.paper.__main__", "--docs"),
    ("experiments.paper.__main__", "--workdir"),
]


def cases(module):
    """Every flag, path and kind to try: list of `(flags, inside, kind)`."""
    return [
        ([*flags, f"{flag}=given"], inside, kind)
        for flags, paths in TARGETS[module]
        for flag, insides in paths.items()
        for inside in insides
        for kind in KINDS
        if inside
        or (module, flag) not in SHARED_FOLDERS
        or kind in ("file", "link_to_file")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("module", TARGETS)
def test_a_path_of_somebody_else_is_refused_and_kept(tmp_path, module):
    command_lines = []
    for i, (flags, inside, kind) in enumerate(cases(module)):
        occupy(tmp_path / str(i) / "given" / inside, kind)
        command_lines.append([str(tmp_path / str(i)), flags])
    before = tree(tmp_path)
    answers = run_forked(module, command_lines)
    after = tree(tmp_path)
    if module == "experiments.paper.__main__":
        # Before its error it writes the document of the results so far.
        after = {path: after[path] for path in before}
    assert after == before
    for (_, flags), (code, errors) in zip(command_lines, answers, strict=True):
        lines = [x for x in errors.splitlines() if x.startswith("error: ")]
        assert code == 1 and len(lines) == 1, (flags, errors)
        assert "given" in lines[0], (flags, errors)
        assert "Received: " in lines[0], (flags, errors)
        assert "Traceback" not in errors, (flags, errors)
