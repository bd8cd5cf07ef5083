"""One HTML page about a student: is it good enough, what did it learn?

The table of models and exports, learning curves, what the teacher knows at
every temperature, confusion, calibration, where the two differ most. The file
needs no network and no other file.

Examples:
  python -m kd_keras.report --workdir=runs/cifar10 --output=report.html
  python -m kd_keras.report --name=cifar10 --savedmodels=savedmodels
  python -m kd_keras.report --workdir=runs/cifar10 --exports=edge --serve=8000

A stage's model is looked for in <workdir>/<stage>/ and then in
<savedmodels>/<name>_<stage>/; curves, parameters and MACs are shown where
metrics.jsonl and report.json lie beside it. Teacher and student must be there,
the rest need not. --serve shows the page on this machine, with a panel where
the student runs in the browser: it needs the ONNX file of kd_keras.export,
and npm to fetch the runtime once.

The packages of the page: pip install -e '.[report]'.
"""

import contextlib
import pathlib

from absl import flags

from kd_keras.utils import command_line, files, quiet

flags.adopt_module_key_flags(command_line)
_WORKDIR = flags.DEFINE_string("workdir", None, "The directory of the runs.")
_SAVEDMODELS = flags.DEFINE_string(
    "savedmodels", "savedmodels", "Where exported models are."
)
_NAME = flags.DEFINE_string(
    "name",
    "",
    "The configuration's name; by default that of the run directory. Also the "
    "data set's where no config.json lies beside the models.",
)
_EXPORTS = flags.DEFINE_string(
    "exports",
    None,
    "Directory of kd_keras.export; by default "
    "<savedmodels>/<name>_student_exports where it is there.",
)
_LATENCY = flags.DEFINE_string(
    "latency",
    None,
    "JSON of kd_keras.latency; by default <exports>/latency.json where it is "
    "there.",
)
_OUTPUT = flags.DEFINE_string("output", "report.html", "The page.")
_SERVE = flags.DEFINE_integer(
    "serve", None, "A port of this machine: shows the page there."
)


def main():
    files.check_output(_OUTPUT.value)
    with quiet.without_messages():
        from kd_keras.reporting import page as reporting
        from kd_keras.reporting import server as page_server

    # Before the minute of measuring, whatever may be missing after it.
    reporting.check_packages()
    runtime = None if _SERVE.value is None else page_server.runtime_dir()
    report = reporting.gather(
        workdir=_WORKDIR.value,
        savedmodels=_SAVEDMODELS.value,
        name=_NAME.value,
        exports=_EXPORTS.value,
        latency=_LATENCY.value,
        onnx_needed=runtime is not None,
    )
    files.write_output(_OUTPUT.value, reporting.render(report))
    print(f"{_OUTPUT.value}: {pathlib.Path(_OUTPUT.value).stat().st_size:,} B")
    if runtime is None:
        return
    with page_server.make_server(
        report, runtime=runtime, port=_SERVE.value
    ) as server:
        print(f"http://127.0.0.1:{server.server_port}, until Ctrl-C")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def cli():
    """Runs the command with the arguments of the command line."""
    command_line.run(main)


if __name__ == "__main__":
    cli()
