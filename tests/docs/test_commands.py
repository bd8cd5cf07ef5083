"""The commands in the documentation exist, and their flags are valid."""

import re

import pages
import pytest
from commands import run_forked
from pages import REPOSITORY

# Programs that are not ours.
OTHERS = (
    "cd",
    "cp",
    "export",
    "jupyter",
    "mkdir",
    "pip",
    "source",
    "tensorflow_model_server",
)
# What most commands import before they check their flags. None of these
# modules defines a flag or imports TensorFlow.
SHARED = (
    "absl.app",
    "kd_keras.config.overrides",
    "kd_keras.config.recipes",
    "kd_keras.training.label_inputs",
    "kd_keras.utils.rendezvous",
)
LINES = [
    (page, line) for page in pages.PAGES for line in pages.command_lines(page)
]


def make_targets():
    text = (REPOSITORY / "Makefile").read_text().replace("\\\n", " ")
    return re.search(r"^\.PHONY:(.*)$", text, re.M)[1].split()


@pytest.mark.parametrize("page", pages.PAGES)
def test_make_targets_exist(page):
    # In running text as well as in blocks.
    for target in re.findall(r"(?<=[`\n])make ([a-z0-9-]+)", pages.read(page)):
        assert target in make_targets()


def test_programs_are_known():
    for page, (program, *_) in LINES:
        assert program in [*OTHERS, "kd-keras", "make"], page


def divided(arguments):
    """The arguments up to `--`, and the command behind it, if there is one."""
    if "--" not in arguments:
        return [arguments]
    end = arguments.index("--") + 1
    return [arguments[:end], arguments[end:]]


@pytest.mark.slow
def test_flags_and_configurations_are_valid():
    cases = [
        [str(REPOSITORY), ["--check", *command]]
        for _, (program, *arguments) in LINES
        if program == "kd-keras"
        for command in divided(arguments)
    ]
    assert len(cases) > 20
    answers = run_forked("documented_command", cases, imported=SHARED)
    for (_, arguments), (code, output) in zip(cases, answers, strict=True):
        assert code == 0, f"kd-keras {' '.join(arguments[1:])}\n{output}"


def test_extras_exist():
    project = (REPOSITORY / "pyproject.toml").read_text()
    for page in pages.PAGES:
        for extra in re.findall(
            r"pip install -e '\.\[(\w+)\]'", pages.read(page)
        ):
            assert f"\n{extra} = [" in project, page
