"""The figures of `benchmarks.scale`, and the page that shows them."""

import re
import shlex

import pages
import pytest
from commands import run_forked

from benchmarks import scale

PAGE = "docs/scale.md"


@pytest.mark.parametrize(
    "table", [scale.time_table, scale.disk_table, scale.task_table]
)
def test_the_page_has_the_table_that_is_computed(table):
    assert f"\n\n{table()}\n\n" in pages.read(PAGE)


@pytest.mark.parametrize(
    ("stored", "expected"),
    zip(scale.STORED, [4000, 2000, 10 * (2 + 2) + 2, 2560]),
)
def test_bytes_of_a_view(stored, expected):
    assert scale.view_bytes(stored) == expected


def test_units_suit_the_number():
    assert [scale.size(n) for n in (42, 54e6, 4.2e9, 1.26e12, 1.2e15)] == [
        "42 B",
        "54 MB",
        "4.2 GB",
        "1.3 TB",
        "1.2 PB",
    ]
    seconds = (7, 130, 9720, 333_333, 8e6, 1e8)
    assert [scale.duration(s) for s in seconds] == [
        "7 s",
        "2.2 min",
        "2.7 h",
        "3.9 days",
        "93 days",
        "3.2 years",
    ]


def test_the_arrays_of_jobs_have_as_many_jobs_as_there_are_tasks():
    text = pages.read(PAGE)
    (views,) = set(re.findall(r"--config\.store\.shard_views=(\d+)", text))
    manifest = scale.plan(
        scale.COUNTS["1 B"], list(scale.STORED)[2], shard_views=int(views)
    )
    tasks = scale.layout.num_shards("train", manifest)
    assert re.findall(r"--array=0-(\d+)%", text) == [str(tasks - 1)]
    assert re.findall(r"completions: (\d+)", text) == [str(tasks)]


def test_the_commands_of_the_jobs_are_valid():
    """Checks the commands that `tests/docs/test_commands.py` does not see."""
    found = re.findall(
        r"kd-keras (label [^`]*?--task=)\"\$\w+\"", pages.read(PAGE)
    )
    cases = [
        [
            str(pages.REPOSITORY),
            ["--check", *shlex.split(text.replace("\\\n", " ") + "7")],
        ]
        for text in found
    ]
    assert len(cases) == 2 and cases[0] == cases[1]
    answers = run_forked(
        "documented_command", cases, imported=("ml_collections",)
    )
    assert [code for code, _ in answers] == [0, 0], answers
