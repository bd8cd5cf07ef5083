"""Writes one HTML page that compares a student with its teacher.

The page has a table of models and exports, learning curves, softened
predictions at every temperature, confusion, calibration and the largest
disagreements. It needs no network and no other file.

Examples:
  kd-keras report --workdir=runs/cifar10 --output=report.html
  kd-keras report --name=cifar10 --savedmodels=savedmodels
  kd-keras report --workdir=runs/cifar10 --exports=edge --serve=8000

A stage's model is read from <workdir>/<stage>/, else from
<savedmodels>/<name>_<stage>/; curves, parameters and MACs are shown if
metrics.jsonl and report.json lie beside it. Teacher and student are required,
and a student that is still training is refused. The baseline and the exports,
of the same weights as the student, are optional. --serve shows the page on this
machine, with a panel where the student runs in the browser; it needs the ONNX
file of kd-keras export, and npm to fetch the runtime once.

The packages of the page: pip install -e '.[report]'.
"""

from kd_keras.utils import interruption

if __name__ == "__main__":
    # Before the imports that take time.
    interruption.exit_at_once()

import contextlib
import pathlib

from absl import flags

from kd_keras.config import field, general
from kd_keras.utils import command_line, files

flags.adopt_module_key_flags(command_line)
_WORKDIR = flags.DEFINE_string("workdir", None, "Directory of the runs.")
_SAVEDMODELS = flags.DEFINE_string(
    "savedmodels", "savedmodels", "Directory of exported models."
)
_NAME = flags.DEFINE_string(
    "name",
    "",
    "Name of the configuration; by default the run directory's. Also names the "
    "data set if no config.json lies beside the models.",
)
_EXPORTS = flags.DEFINE_string(
    "exports",
    None,
    "Directory of kd-keras export; by default "
    "<savedmodels>/<name>_student_exports, if it exists.",
)
_LATENCY = flags.DEFINE_string(
    "latency",
    None,
    "JSON file of kd-keras latency; by default <exports>/latency.json, if it "
    "exists.",
)
_OUTPUT = flags.DEFINE_string("output", "report.html", "File of the page.")
_SERVE = flags.DEFINE_integer(
    "serve",
    None,
    "Port of this machine at which the page is served; 0 for a free one.",
    lower_bound=0,
    upper_bound=65_535,
)


def main():
    if _NAME.value:
        field.check(general.NAME, "--name", _NAME.value)
    files.check_output(_OUTPUT.value, by="report")
    with command_line.importing():
        from kd_keras.reporting import gathering, rendering
        from kd_keras.reporting import server as page_server

    # Checked before the minute of measuring.
    rendering.check_packages()
    runtime = None if _SERVE.value is None else page_server.runtime_dir()
    report = gathering.gather(
        workdir=_WORKDIR.value,
        savedmodels=_SAVEDMODELS.value,
        name=_NAME.value,
        exports=_EXPORTS.value,
        latency=_LATENCY.value,
        onnx_needed=runtime is not None,
    )
    files.write_output(_OUTPUT.value, rendering.render(report), by="report")
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
