"""The program `kd-keras`: its help, its errors, and its commands."""

import ast
import subprocess
import sys
import types

import pytest
from commands import REPOSITORY, assert_one_line, environment

from kd_keras import __main__ as dispatcher
from kd_keras.utils import command_line


def kd_keras(*arguments, cwd, options=()):
    return subprocess.run(
        [sys.executable, *options, "-m", "kd_keras", *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_every_command_module_is_in_the_table():
    first_lines = {
        path.stem: ast.get_docstring(ast.parse(path.read_text())).split("\n")[0]
        for path in (REPOSITORY / "kd_keras").glob("*.py")
        if not path.stem.startswith("_")
    }
    assert first_lines == {
        name: f"{line}." for name, line in dispatcher.COMMANDS.items()
    }


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_every_command_on_one_screen(tmp_path, flag):
    result = kd_keras(flag, cwd=tmp_path, options=["-X", "importtime"])
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert len(lines) < 24 and max(map(len, lines)) < 80
    for name, line in dispatcher.COMMANDS.items():
        assert any(x.split(maxsplit=1) == [name, line] for x in lines)
    # Anything heavy would make help slow.
    for module in ("tensorflow", "numpy", "absl", "ml_collections"):
        assert f" {module}" not in result.stderr


def test_help_config_shows_the_fields(tmp_path):
    result = kd_keras("--help-config", cwd=tmp_path)
    assert result.returncode == 0 and "  student.epochs " in result.stdout


def test_version(tmp_path):
    result = kd_keras("--version", cwd=tmp_path)
    assert result.stdout == "kd_keras 0.2.0\n" and result.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Received: none."),
        (["lable"], "Received: 'lable'. Did you mean 'label'?"),
        (["--stage=teacher", "train"], "Received: '--stage=teacher'."),
    ],
)
def test_a_missing_or_unknown_command_gives_one_line(
    tmp_path, arguments, message
):
    result = kd_keras(*arguments, cwd=tmp_path)
    assert result.returncode == 2 and not result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: the command must be one of train, label")
    assert message in line and line.endswith("--help")


@pytest.mark.slow
@pytest.mark.parametrize("command", dispatcher.COMMANDS)
def test_a_command_s_help_is_that_of_its_module(tmp_path, command):
    dispatched = kd_keras(command, "--help", cwd=tmp_path)
    direct = subprocess.run(
        [sys.executable, "-m", f"kd_keras.{command}", "--help"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert dispatched.returncode == direct.returncode == 0
    assert dispatched.stdout == direct.stdout != ""


def test_overrides_are_checked_in_a_directory_without_configs(tmp_path):
    assert_one_line(
        kd_keras("train", "--config.student.epohs=3", cwd=tmp_path),
        "Did you mean 'student.epochs'?",
    )
    assert not list(tmp_path.iterdir())


def test_modules_of_the_working_directory_can_be_imported(
    monkeypatch, tmp_path
):
    # The path of an installed script starts with the script's folder.
    monkeypatch.setattr("sys.path", ["/somewhere/bin", *sys.path])
    monkeypatch.chdir(tmp_path)
    found = []
    monkeypatch.setattr(
        "kd_keras.latency.cli", lambda: found.append(str(tmp_path) in sys.path)
    )
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/kd-keras", "latency"])
    assert dispatcher.main() == 0
    assert found == [True]


@pytest.mark.parametrize(
    ("program", "recorded"),
    [
        ("/somewhere/bin/kd-keras", "kd-keras"),
        ("/somewhere/kd_keras/__main__.py", "python -m kd_keras"),
    ],
)
def test_records_show_the_command_as_it_was_typed(
    monkeypatch, program, recorded
):
    commands = []
    latency = types.SimpleNamespace(
        cli=lambda: commands.append(command_line.command("kd_keras.latency"))
    )
    monkeypatch.setitem(sys.modules, "kd_keras.latency", latency)
    monkeypatch.setattr("sys.argv", [program, "latency", "--models=a b,c"])
    assert dispatcher.main() == 0
    assert commands == [f"{recorded} latency '--models=a b,c'"]
