"""Generates the pages of the site that come from the code.

`mkdocs build` runs this file (plugin gen-files in `mkdocs.yml`). The pages
exist in the built site alone.
"""

import pathlib
import re
import subprocess
import sys

import mkdocs_gen_files
import nbconvert

from kd_keras.__main__ import COMMANDS
from kd_keras.config import reference

NOTEBOOKS = pathlib.Path(__file__).parent / "notebooks"


def write(page, contents):
    mode = "wb" if isinstance(contents, bytes) else "w"
    with mkdocs_gen_files.open(page, mode) as file:
        file.write(contents)


def help_text(*command):
    """Returns what `kd-keras COMMAND --help` prints."""
    return subprocess.run(
        [sys.executable, "-m", "kd_keras", *command, "--help"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout


def without_paths(text):
    """Removes the lines of `--help` that name files of this machine."""
    text = text.replace("Try --helpfull to get a list of all flags.", "")
    return re.sub(r"^/.*:\n", "", text, flags=re.M).strip()


def commands_page():
    parts = [
        "# Commands",
        "This page is generated from the `--help` of each command.",
        f"```text\n{help_text().strip()}\n```",
    ]
    for command in COMMANDS:
        shown = without_paths(help_text(command))
        parts += [f"## kd-keras {command}", f"```text\n{shown}\n```"]
    return "\n\n".join(parts) + "\n"


def write_notebook(path):
    """Writes a notebook as a page, with the outputs that it was saved with."""
    exporter = nbconvert.MarkdownExporter()
    page, resources = exporter.from_filename(
        path, resources={"output_files_dir": f"{path.stem}_files"}
    )
    write(f"notebooks/{path.stem}.md", page)
    for name, contents in resources["outputs"].items():
        write(f"notebooks/{name}", contents)


write("reference/configuration.md", reference.markdown())
write("reference/commands.md", commands_page())
for path in sorted(NOTEBOOKS.glob("*.ipynb")):
    write_notebook(path)
