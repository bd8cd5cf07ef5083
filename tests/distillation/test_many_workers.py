"""Workers of a cluster train the student that one process trains."""

import functools
import pathlib
import sys

import many_workers
import numpy as np
import pytest
import worker_cases

TESTS = pathlib.Path(__file__).parents[1]
COMPARED = [
    (devices, case.__name__)
    for devices, cases in worker_cases.OF_DEVICES.items()
    for case in cases
    if case in worker_cases.CASES
]


@pytest.fixture(scope="module")
def results_of(tmp_path_factory):
    """Results of two workers: function of their number of devices."""

    @functools.cache
    def run(devices):
        directory = tmp_path_factory.mktemp("workers")
        script = TESTS / "worker_cases.py"
        results = many_workers.run(
            [sys.executable, str(script), str(directory), str(devices)],
            cwd=directory,
            limit=900,
            forked=True,
        )
        return directory, results

    def read(devices):
        directory, results = run(devices)
        assert [x.returncode for x in results] == [0, 0], results[0].stderr
        return [dict(np.load(directory / f"{i}.npz")) for i in range(2)]

    return read


def of_case(found, name):
    prefix = f"{name}/"
    return {
        key.removeprefix(prefix): value
        for key, value in found.items()
        if key.startswith(prefix) and not key.startswith(f"{prefix}alone/")
    }


@pytest.mark.slow
@pytest.mark.parametrize("devices, name", COMPARED)
def test_the_same_student_and_logs_as_in_one_process(results_of, devices, name):
    found = results_of(devices)
    # Float16 rounds each replica's gradient.
    atol = 2e-4 if name == "overflow" else 1e-5
    alone = of_case({**found[0], **found[1]}, f"{name}/alone")
    for of_worker in found:
        results = of_case(of_worker, name)
        assert results.keys() == alone.keys()
        for key, value in alone.items():
            np.testing.assert_allclose(
                results[key], value, rtol=atol, atol=atol, err_msg=key
            )


@pytest.mark.slow
@pytest.mark.parametrize("devices, name", COMPARED)
def test_all_workers_have_the_same_logs_and_weights(results_of, devices, name):
    first, second = (of_case(x, name) for x in results_of(devices))
    for key, value in first.items():
        np.testing.assert_array_equal(second[key], value, err_msg=key)


@pytest.mark.slow
def test_an_overflow_on_one_worker_halves_the_scale_of_all(results_of):
    for of_worker in results_of(1):
        # In each of two epochs.
        assert of_worker["overflow/scale"] == 2.0**15 / 4


@pytest.mark.slow
def test_all_workers_stop_at_the_step_whose_loss_is_not_finite(results_of):
    for of_worker in results_of(1):
        message = str(of_worker["divergence/message"])
        assert "Received: nan at step 2 (epoch 1)" in message


@pytest.mark.slow
@pytest.mark.parametrize(
    "what, message",
    [
        ("arrays", "must be a distributed dataset"),
        ("an optimizer", "in the strategy's scope"),
        ("a metric", "in the strategy's scope"),
        ("a name", "in the strategy's scope"),
    ],
)
def test_what_each_worker_would_have_for_itself_is_refused(
    results_of, what, message
):
    for of_worker in results_of(1):
        assert message in str(of_worker[f"refused/{what}"])


@pytest.mark.slow
def test_logs_cost_no_exchange_with_other_workers(results_of):
    for of_worker in results_of(1):
        # One to learn whether there is a batch; none for the three logs.
        assert of_worker["exchanges/test"] == 1
        # Also for the sums of weights and of gradients with the loss, and for
        # Keras's own sum of gradients.
        assert of_worker["exchanges/train"] <= 5


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_each_worker_reads_its_rows_alone(results_of, devices):
    data = worker_cases.examples()
    batches = [
        ids.numpy()
        for (ids,) in data.id_batches(4, labels=False, seed=0, epoch=0)
    ]
    found = results_of(devices)
    for index, of_worker in enumerate(found):
        replicas = range(index * devices, (index + 1) * devices)
        rows = [batch[i :: 2 * devices] for batch in batches for i in replicas]
        expected = np.concatenate(rows)
        np.testing.assert_array_equal(of_worker["reads/ids"], np.sort(expected))
        np.testing.assert_array_equal(
            of_worker["reads/rows"],
            data.images.sum(axis=(1, 2, 3))[expected // 3],
        )
        np.testing.assert_array_equal(
            of_worker["reads/sizes"], [len(part) for part in rows]
        )
        # Keras knows the number of steps, whatever the number of elements.
        assert of_worker["reads/steps"] == len(batches)
    parts = [x["reads/validation ids"] for x in found]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), data.ids)
