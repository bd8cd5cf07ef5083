"""Runs commands in forked processes, with their heavy imports once.

`python tests/forked_commands.py IMPORTED...` imports modules. It answers each
line on stdin, JSON `[name, arguments]`, by a line of JSON: what `run` or
`start` returns.
"""

import gc
import importlib
import json
import os
import pathlib
import runpy
import signal
import sys
import tempfile
import threading
import traceback


def run(module, environment, cases):
    """Calls `cli()` of a module for each case, one after the other.

    Args:
        module: str.
        environment: dict.
        cases: list of `[directory, flags]`.

    Returns:
        List of `[exit code, stderr]`, stdout among it.
    """

    def action():
        # After sys.argv is set: a configuration's flags read it when they are
        # defined.
        importlib.import_module(module).cli()

    answers = []
    for directory, flags in cases:
        with tempfile.TemporaryFile() as errors:
            process = _fork(
                action,
                argv=[module, *flags],
                environment=environment,
                directory=directory,
                outputs=(errors, errors),
            )
            _, status = os.waitpid(process, 0)
            errors.seek(0)
            code = os.waitstatus_to_exitcode(status)
            answers.append([code, errors.read().decode()])
    return answers


def start(arguments, environment, directory, outputs):
    """Starts what `python` runs with the arguments, in a process group.

    Args:
        arguments: list of str, `-m` and a module, or a script, and its flags.
        environment: dict.
        directory: str.
        outputs: str, the beginning of the paths of three files: `.stdout`,
            `.stderr`, and `.code` with the exit code once it has ended.

    Returns:
        int, the process's number.
    """
    is_module = arguments[0] == "-m"
    argv = arguments[is_module:]

    def action():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if is_module:
            runpy.run_module(argv[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(argv[0], run_name="__main__")

    with (
        open(f"{outputs}.stdout", "wb") as stdout,
        open(f"{outputs}.stderr", "wb") as stderr,
    ):
        process = _fork(
            action,
            argv=argv,
            environment=environment,
            directory=directory,
            outputs=(stdout, stderr),
        )
    # Before the caller knows its number, so that it can kill its group at once.
    os.setpgid(process, process)
    threading.Thread(
        target=_note_end, args=(process, outputs), daemon=True
    ).start()
    return process


def _note_end(process, outputs):
    _, status = os.waitpid(process, 0)
    path = pathlib.Path(f"{outputs}.writing")
    path.write_text(str(os.waitstatus_to_exitcode(status)))
    path.rename(f"{outputs}.code")


def _fork(action, *, argv, environment, directory, outputs):
    """Forks a process that calls a function: its number."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(directory)
        with open(os.devnull) as nothing:
            for number, file in enumerate((nothing, *outputs)):
                os.dup2(file.fileno(), number)
        sys.argv = argv
        action()
        code = 0
    except SystemExit as exit:
        code = exit.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main():
    # Before the forks, so that they are imported once.
    for name in sys.argv[1:]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    functions = {"run": run, "start": start}
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(functions[name](*arguments)), flush=True)


if __name__ == "__main__":
    main()
