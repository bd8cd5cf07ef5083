"""The identity of a process."""

import os
import pathlib

from kd_keras.utils import processes


def test_a_process_is_known_by_host_boot_and_number():
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text()
    identity = processes.this_process()
    assert identity == {
        "host": os.uname().nodename,
        "boot": boot.strip(),
        "process": os.getpid(),
    }
