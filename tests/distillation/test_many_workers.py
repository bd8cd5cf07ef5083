"""Workers of a cluster train the student that one process trains."""

import pathlib
import sys

import many_workers
import numpy as np
import pytest
import worker_cases

TESTS = pathlib.Path(__file__).parents[1]
DEVICES = 2
NAMES = [case.__name__ for case in worker_cases.CASES]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Results of two workers with two devices each: dicts by `case/name`."""
    directory = tmp_path_factory.mktemp("workers")
    script = TESTS / "worker_cases.py"
    results = many_workers.run(
        [sys.executable, str(script), str(directory), str(DEVICES)],
        cwd=directory,
        limit=900,
    )
    assert [x.returncode for x in results] == [0, 0], results[0].stderr
    return [dict(np.load(directory / f"{i}.npz")) for i in range(2)]


def of_case(found, name):
    prefix = f"{name}/"
    return {
        key.removeprefix(prefix): value
        for key, value in found.items()
        if key.startswith(prefix) and not key.startswith(f"{prefix}alone/")
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_same_student_and_logs_as_in_one_process(found, name):
    # Float16 rounds each replica's gradient.
    atol = 2e-3 if name == "overflow" else 1e-5
    alone = of_case({**found[0], **found[1]}, f"{name}/alone")
    for of_worker in found:
        results = of_case(of_worker, name)
        assert results.keys() == alone.keys()
        for key, value in alone.items():
            np.testing.assert_allclose(
                results[key], value, rtol=atol, atol=atol, err_msg=key
            )


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_all_workers_have_the_same_logs_and_trained_weights(found, name):
    first, second = (of_case(x, name) for x in found)
    for key, value in first.items():
        np.testing.assert_array_equal(second[key], value, err_msg=key)


@pytest.mark.slow
def test_an_overflow_on_one_worker_halves_the_scale_of_all(found):
    for of_worker in found:
        assert of_worker["overflow/scale"] == 2.0**14


@pytest.mark.slow
def test_all_workers_stop_at_the_step_whose_loss_is_not_finite(found):
    for of_worker in found:
        message = str(of_worker["divergence/message"])
        assert "Received: nan at step 2 (epoch 1)" in message


@pytest.mark.slow
@pytest.mark.parametrize(
    "what, message",
    [
        ("arrays", "must be a distributed dataset"),
        ("an optimizer", "in the strategy's scope"),
        ("a metric", "in the strategy's scope"),
    ],
)
def test_what_each_worker_would_have_for_itself_is_refused(
    found, what, message
):
    for of_worker in found:
        assert message in str(of_worker[f"refused/{what}"])


@pytest.mark.slow
def test_each_worker_reads_its_rows_of_each_batch_and_nothing_else(found):
    data = worker_cases.examples()
    batches = [
        ids.numpy()
        for (ids,) in data.id_batches(4, labels=False, seed=0, epoch=0)
    ]
    # A row for each of four replicas, but the last one's of the third batch.
    for index, of_worker in enumerate(found):
        numbers = range(index * DEVICES, (index + 1) * DEVICES)
        rows = [batch[i :: 2 * DEVICES] for batch in batches for i in numbers]
        expected = np.concatenate(rows)
        np.testing.assert_array_equal(of_worker["reads/ids"], np.sort(expected))
        np.testing.assert_array_equal(
            of_worker["reads/rows"],
            data.images.sum(axis=(1, 2, 3))[expected // 3],
        )
        np.testing.assert_array_equal(
            of_worker["reads/sizes"], [len(part) for part in rows]
        )
    halves = [x["reads/validation ids"] for x in found]
    np.testing.assert_array_equal(np.sort(np.concatenate(halves)), data.ids)
