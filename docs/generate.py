"""Generates the pages of the site that come from the code.

`mkdocs build` runs this file (plugin gen-files in `mkdocs.yml`). The pages
exist in the built site alone.
"""

import re
import subprocess
import sys

import mkdocs_gen_files

COMMANDS = ("train", "label", "evaluate", "export", "latency", "report")


def write(page, text):
    with mkdocs_gen_files.open(page, "w") as file:
        file.write(text)


def help_text(command):
    """Returns what `--help` prints, without the paths of this machine."""
    shown = subprocess.run(
        [sys.executable, "-m", f"kd_keras.{command}", "--help"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    shown = shown.replace("Try --helpfull to get a list of all flags.", "")
    return re.sub(r"^(/|kd_keras).*:\n", "", shown, flags=re.M).strip()


def commands_page():
    parts = [
        "# Commands",
        "This page is generated from the `--help` of each command.",
    ]
    for command in COMMANDS:
        parts += [f"## {command}", f"```text\n{help_text(command)}\n```"]
    return "\n\n".join(parts) + "\n"


write("reference/commands.md", commands_page())
