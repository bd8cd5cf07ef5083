"""Commands in forked processes."""

import commands
import pytest

LIGHT = ("json",)


def test_an_unexpected_error_of_a_command_has_its_traceback(tmp_path):
    case = [str(tmp_path), []]
    ((code, output),) = commands.run_forked("json", [case], imported=LIGHT)
    assert code == 1
    assert output.startswith("Traceback")
    assert "has no attribute 'cli'" in output


def test_the_end_of_the_process_that_forks_is_named_and_it_starts_again(
    tmp_path,
):
    case = [str(tmp_path), []]
    commands.run_forked("json", [case], imported=LIGHT)
    commands._SERVERS[LIGHT].kill()
    with pytest.raises(RuntimeError, match="exit code -9.* to run .'json'"):
        commands.run_forked("json", [case], imported=LIGHT)
    assert commands.run_forked("json", [], imported=LIGHT) == []
