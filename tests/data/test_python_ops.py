"""Python functions in pipelines do not hang a program that ends."""

import threading
import time

import pytest
import tensorflow as tf

from kd_keras.data import python_ops


def test_a_gate_waits_for_running_calls_and_lets_no_others_in():
    gate = python_ops.Gate()
    begun, may_end, ended = (threading.Event() for _ in range(3))

    def work():
        begun.set()
        may_end.wait(5)
        ended.set()

    thread = threading.Thread(target=gate.guarded(work))
    thread.start()
    assert begun.wait(5)
    threading.Timer(0.05, may_end.set).start()
    gate.close()
    assert ended.is_set()
    thread.join()
    with pytest.raises(ValueError, match="the program ends"):
        gate.guarded(work)()


def test_a_gate_that_nothing_passed_closes_at_once():
    begin = time.monotonic()
    python_ops.Gate().close()
    assert time.monotonic() < begin + 0.05


def test_a_pipeline_with_an_iterator_left_over_comes_to_rest(monkeypatch):
    gate, calls = python_ops.Gate(), []
    monkeypatch.setattr(python_ops, "_gate", gate)

    def double(x):
        calls.append(x)
        time.sleep(0.01)
        return 2 * x

    def read(x):
        return python_ops.numpy_function(double, [x], tf.int64)

    dataset = tf.data.Dataset.range(1000).map(read, num_parallel_calls=2)
    iterator = iter(dataset.prefetch(4))
    assert next(iterator).numpy() == 0
    gate.close()
    done = len(calls)
    time.sleep(0.1)
    assert len(calls) == done < 1000
