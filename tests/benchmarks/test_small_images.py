"""The benchmark of small images starts and measures; see `test_speed`."""

from benchmarks import small_images


def test_one_thread_and_all_are_measured(threads_asked):
    work = small_images.contestants(28, count=4)
    assert set(work) == {"PNG", "JPEG", "crops", "RandAugment"}
    for function in work.values():
        one, every = small_images.measure(function, rounds=2)
        assert one > 0 and every > 0
    assert threads_asked == [False, True] * 2 * len(work)
