"""Tables as text."""

from kd_keras.utils import tables

ROWS = [["", "errors", "seconds"], ["teacher", "77", "1,833"], ["student"]]


def test_columns_are_aligned():
    assert tables.aligned(ROWS) == (
        "         errors  seconds\nteacher      77    1,833\nstudent"
    )
    assert tables.aligned(ROWS[:2], left=2, gap=1) == (
        "        errors seconds\nteacher 77       1,833"
    )


def test_markdown():
    assert tables.markdown(ROWS[:2]) == (
        "|  | errors | seconds |\n| --- | --- | --- |\n| teacher | 77 | 1,833 |"
    )


def test_a_count_has_its_noun():
    assert tables.counted(1, "epoch") == "1 epoch"
    assert tables.counted(0, "step") == "0 steps"
