"""Runs command lines in forked processes, with their heavy imports once.

`python tests/forked_commands.py IMPORTED...` imports modules. It answers each
line on stdin, a JSON list of `[module, environment, cases]` with a list of
`[directory, flags]`, by a JSON list of `[exit code, output]`: it calls `cli()`
of the module in a forked process for each case.
"""

import gc
import importlib
import json
import os
import sys
import tempfile


def run(module, environment, directory, flags):
    """Runs `cli()` of a module: `[exit code, stderr]`, stdout among it."""
    with tempfile.TemporaryFile() as errors, open(os.devnull) as nothing:
        process = os.fork()
        if not process:
            os.environ.clear()
            os.environ.update(environment)
            os.chdir(directory)
            os.dup2(nothing.fileno(), 0)
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
    # Before the forks, so that they are imported once.
    for name in sys.argv[1:]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        module, environment, cases = json.loads(line)
        answers = [run(module, environment, *case) for case in cases]
        print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
