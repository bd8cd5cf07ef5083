"""`--config` and `--help-config` as a user gives them."""

import subprocess
import sys

import pytest
from commands import assert_one_line, command, environment, run


@pytest.mark.parametrize("module", ["train", "label", "views"])
def test_help_config_shows_all_fields_without_tensorflow(tmp_path, module):
    result = subprocess.run(
        [
            sys.executable,
            "-X",
            "importtime",
            *command("--help-config", module=module)[1:],
        ],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0
    assert "  student.epochs " in result.stdout
    assert "  specialist.optimizer.clip_norm " in result.stdout
    assert " tensorflow" not in result.stderr


@pytest.mark.parametrize(
    ("config", "message"),
    [
        # The recipe is loaded, and its value of a field refused.
        ([], "less than 3. Received: 9"),
        (["--config=cifar10_specialists"], "less than 3. Received: 9"),
        (["--config", "paper_twenty"], "less than 4. Received: 9"),
        (["--config=paper_mnist:soft"], "less than 3. Received: 9"),
        (["--config=own.py:4"], "less than 4. Received: 9"),
        (["--config=cifra10"], "Did you mean 'cifar10'?"),
        (["--config=nowhere.py"], "Received: 'nowhere.py', which does not"),
        (["--config", "nowhere.py"], "Received: 'nowhere.py', which does not"),
        (["--config=own.py:four"], "own.py, line 6: ValueError: invalid"),
        (["--config=none.py"], "Received: none.py without it"),
    ],
)
def test_a_recipe_is_given_by_name_or_path(tmp_path, config, message):
    (tmp_path / "own.py").write_text(
        "from kd_keras.config import default_config\n\n\n"
        "def get_config(count):\n"
        "    config = default_config()\n"
        "    config.specialist.num_specialists = int(count)\n"
        "    return config\n"
    )
    (tmp_path / "none.py").write_text("count = 3\n")
    result = run(*config, "--config.specialist.only=9", cwd=tmp_path)
    assert_one_line(result, message)
    assert not (tmp_path / "runs").exists()


def test_a_field_that_a_recipe_invents_is_refused(tmp_path):
    (tmp_path / "own.py").write_text(
        "from kd_keras.config import recipes\n\n\n"
        "def get_config():\n"
        "    config = recipes.load('mnist')\n"
        "    config.student.epohs = 3\n"
        "    return config\n"
    )
    result = run("--config=own.py", cwd=tmp_path)
    assert_one_line(result, "student.epohs. Did you mean 'student.epochs'?")
