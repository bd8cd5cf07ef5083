import pytest

from kd_keras.utils import agreement

NAMES = ["worker 0 (a:1)", "worker 1 (b:1)", "worker 2 (c:1)"]


def test_equal_facts_pass():
    fact = {"versions": {"keras": "3"}, "shape": (1, 2), "loss": float("nan")}
    agreement.check(NAMES[:2], [fact, {**fact, "shape": [1, 2]}])


@pytest.mark.parametrize(
    ("facts", "received"),
    [
        (
            [{"lr": 0.1}, {"lr": 0.1}, {"lr": 0.2}],
            "lr is 0.1 on worker 0 (a:1) and worker 1 (b:1), "
            "0.2 on worker 2 (c:1)",
        ),
        # Of nested entries only the one that differs.
        (
            [{"a": {"x": 1, "y": n}} for n in (1, 2, 2)],
            "a.y is 1 on worker 0 (a:1), 2 on worker 1 (b:1) and worker 2 "
            "(c:1)",
        ),
        (
            [{"a": 1}, {}, {"a": {}}],
            "a is 1 on worker 0 (a:1), absent on worker 1 (b:1), {} on worker "
            "2 (c:1)",
        ),
        # True is no number.
        (
            [{"a": True}, {"a": 1}, {"a": 1}],
            "a is true on worker 0 (a:1), 1 on worker 1 (b:1) and worker 2 "
            "(c:1)",
        ),
    ],
)
def test_what_differs_is_named_with_its_owners(facts, received):
    with pytest.raises(ValueError) as error:
        agreement.check(NAMES, facts)
    assert str(error.value) == (
        "all workers must have the same program, configuration and data. "
        f"Received: {received}"
    )


def test_many_differences_of_many_workers_are_one_short_line():
    names = [f"worker {i} (host{i}:1)" for i in range(100)]
    facts = [
        {f"f{k}": f"{i % 7} {'x' * 500}" for k in range(50)} for i in range(100)
    ]
    with pytest.raises(ValueError, match="47 more") as error:
        agreement.check(names, facts)
    assert len(str(error.value)) < 2500
    assert "and 12 more" in str(error.value)
