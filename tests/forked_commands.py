"""Runs many command lines of one program, with its heavy imports once.

`python tests/forked_commands.py MODULE IMPORTED` imports a package, reads a
JSON list of `[directory, flags]` on stdin, and calls `cli()` of the module in a
forked process for each. It prints a JSON list of `[exit code, stderr]`.
"""

import importlib
import json
import os
import sys
import tempfile


def run(module, directory, flags):
    """Runs `cli()` of a module: `[exit code, stderr]`, stdout among it."""
    with tempfile.TemporaryFile() as errors:
        process = os.fork()
        if not process:
            os.chdir(directory)
            os.dup2(errors.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            # Before the import: the flags of a configuration read sys.argv
            # when they are defined.
            sys.argv = [module, *flags]
            code = 1
            try:
                importlib.import_module(module).cli()
            except SystemExit as exit:
                code = exit.code or 0
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(process, 0)
        errors.seek(0)
        return [os.waitstatus_to_exitcode(status), errors.read().decode()]


def main():
    # Before the forks, so that it is imported once.
    importlib.import_module(sys.argv[2])
    answers = [run(sys.argv[1], *case) for case in json.load(sys.stdin)]
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
