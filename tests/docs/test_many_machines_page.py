"""The TF_CONFIG that the page "Many GPUs, many machines" sets is right."""

import os
import subprocess

import pages

from kd_keras.utils import tf_config

PAGE = "docs/guides/many_machines.md"
# Stand-ins for Slurm on two nodes, which run one after the other.
PROGRAMS = {
    "scontrol": "printf 'node-a\\nnode-b\\n'",
    "srun": 'shift 2; for i in 0 1; do SLURM_NODEID=$i "$@"; done',
    "kd-keras": 'echo "$TF_CONFIG" | tr -d "\\n"; echo; echo "$@" >&2',
}


def test_each_node_of_slurm_gets_its_place(tmp_path):
    for name, text in PROGRAMS.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)
    result = subprocess.run(
        ["bash", "-c", pages.only_block(PAGE, "sh", "#SBATCH")],
        env={
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
            "SLURM_JOB_ID": "123456",
            "SLURM_JOB_NODELIST": "node-[a-b]",
            "SLURM_CPUS_ON_NODE": "64",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    hosts = ("node-a:13456", "node-b:13456")
    assert [tf_config.parse(line) for line in result.stdout.splitlines()] == [
        tf_config.Workers(hosts=hosts, index=index) for index in (0, 1)
    ]
    first, second = result.stderr.splitlines()
    assert first == second and first.startswith("train --config=photos ")


def test_the_value_that_is_set_by_hand():
    (value,) = (
        argument.removeprefix("TF_CONFIG=")
        for program, *arguments in pages.command_lines(PAGE)
        for argument in arguments
        if program == "export"
    )
    assert tf_config.parse(value) == tf_config.Workers(
        hosts=("host1:2222", "host2:2222"), index=0
    )
