"""The Makefile's help, and what `make clean` removes."""

import os
import re
import shutil
import subprocess

import pytest
from commands import REPOSITORY
from scratch import tree

MAKEFILE = REPOSITORY / "Makefile"

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="no make")


def make(target, cwd):
    return subprocess.run(
        # `make test` would hand its own options down.
        ["make", "--no-print-directory", "-f", str(MAKEFILE), target],
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if k[:4] != "MAKE"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_help_has_a_line_for_every_target(tmp_path):
    text = MAKEFILE.read_text().replace("\\\n", " ")
    targets = re.search(r"^\.PHONY:(.*)$", text, re.M)[1].split()
    lines = [line.split()[:2] for line in make("help", tmp_path).splitlines()]
    assert sorted(lines) == sorted(
        ["make", target] for target in targets if target != "help"
    )


def test_clean_keeps_what_make_did_not_make(tmp_path):
    for path in ("thesis.txt", ".venv/bin/python", "site/index.html", "runs/a"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("years of work")
    before = tree(tmp_path)
    make("clean", tmp_path)
    assert tree(tmp_path) == before


def test_clean_removes_what_make_made(tmp_path):
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/.made_by_make").touch()
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_text(
        '<meta name="generator" content="mkdocs-1.6.1">'
    )
    (tmp_path / "kd_keras.egg-info").mkdir()
    make("clean", tmp_path)
    assert not list(tmp_path.iterdir())
