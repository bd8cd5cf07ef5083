"""Values computed from files, computed again only if the files have changed.

The user's cache directory (`~/.cache/kd_keras` on Linux) has a file for each
place and kind of value. It may be removed at any time.
"""

import concurrent.futures
import contextlib
import os
import time
import zipfile

import numpy as np
import platformdirs

from kd_keras.utils import digests, files, progress

# A file that changed so recently may change again and keep the same time.
_SETTLED_SECONDS = 2
# Reading files that are small or far away is faster in several threads.
_THREADS = 8
_MOST_FILES_AT_ONCE = 2000
# Shorter work is not worth a progress bar.
_BAR_FROM_SECONDS = 2


def values(paths, compute, *, kind, width, place):
    """Computes a value of each file, or finds it in the cache.

    A value is found if the file's path, its size and both of its times (of the
    contents and of the directory entry) are the same as when it was computed.
    An interrupted call keeps the values that it has computed.

    Args:
        paths: `path_lists.PathList`.
        compute: function of a path (bytes) that returns `width` bytes. If it
            returns None, the row is zeros and is computed again next time. It
            is called in several threads.
        kind: str, the name of the value, a part of the name of the cache.
        width: int.
        place: str, the folder or file that lists the paths.

    Returns:
        uint8 array `(n, width)`.

    Raises:
        Exception: what `compute` raises.
    """
    cache_path = _cache_path(place, kind)
    known = _read(cache_path, width)
    out = np.zeros((len(paths), width), np.uint8)
    added = []
    latest = time.time_ns() - _SETTLED_SECONDS * 10**9

    def work(start, stop):
        full = paths.rows(start, stop)
        keys, settled = _keys(full, latest)
        out[start:stop], is_known = _look_up(known, keys, width)
        fresh = []
        for row in np.flatnonzero(~is_known).tolist():
            value = compute(full[row])
            if value is not None:
                out[start + row] = np.frombuffer(value, np.uint8)
                if settled[row]:
                    fresh.append(row)
        if fresh:
            added.append((keys[fresh], out[start:stop][fresh]))
        return stop - start

    try:
        _in_threads(work, len(paths))
    finally:
        if added:
            _write(cache_path, [known, *added])
    return out


def _in_threads(work, count):
    """Calls `work(start, stop)` for all rows, with a progress bar."""
    step = -(-count // (_THREADS * 4))
    step = min(max(step, 1), _MOST_FILES_AT_ONCE)
    begin, bar, done = time.monotonic(), None, 0
    pool = concurrent.futures.ThreadPoolExecutor(_THREADS)
    try:
        tasks = [
            pool.submit(work, start, min(start + step, count))
            for start in range(0, count, step)
        ]
        for task in concurrent.futures.as_completed(tasks):
            done += task.result()
            if bar is None and time.monotonic() > begin + _BAR_FROM_SECONDS:
                bar = progress.bar(count, "file")
            if bar is not None:
                bar.update(done)
    finally:
        pool.shutdown(cancel_futures=True)


def _keys(paths, latest):
    """Computes keys of files and their state.

    Args:
        paths: list of bytes.
        latest: int, nanoseconds since 1970.

    Returns:
        `(keys, settled)`: array of 16 bytes each; and bools, whether the file
        exists and was last changed before `latest`.
    """
    keys, settled = [], []
    for path in paths:
        try:
            stat = os.stat(path)
        except OSError:
            keys.append(bytes(16))
            settled.append(False)
            continue
        # A program cannot set back the second time.
        times = stat.st_mtime_ns, stat.st_ctime_ns
        state = b"%s\0%d %d %d" % (path, stat.st_size, *times)
        keys.append(digests.short_key(state))
        settled.append(max(times) < latest)
    return np.array(keys, "S16"), settled


def _look_up(known, keys, width):
    """Returns `(values, is_known)` for keys; the values of others are 0."""
    known_keys, known_values = known
    out = np.zeros((len(keys), width), np.uint8)
    if not len(known_keys):
        return out, np.zeros(len(keys), bool)
    rows = np.searchsorted(known_keys, keys)
    rows[rows == len(known_keys)] = 0
    is_known = known_keys[rows] == keys
    out[is_known] = known_values[rows[is_known]]
    return out, is_known


def _cache_path(place, kind):
    name = digests.sha256(os.fsencode(os.path.abspath(place)))
    return platformdirs.user_cache_path("kd_keras") / f"{name}.{kind}.npz"


def _read(path, width):
    """Returns sorted keys and their values, empty if there are none."""
    with contextlib.suppress(
        OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile
    ):
        with np.load(path, allow_pickle=False) as cache:
            keys, values = cache["keys"], cache["values"]
        if (
            (keys.dtype, values.dtype) == (np.dtype("S16"), np.uint8)
            and keys.shape + (width,) == values.shape
            and (keys[:-1] < keys[1:]).all()
        ):
            return keys, values
    return np.zeros(0, "S16"), np.zeros((0, width), np.uint8)


def _write(path, parts):
    keys = np.concatenate([keys for keys, _ in parts])
    keys, rows = np.unique(keys, return_index=True)
    values = np.concatenate([values for _, values in parts])[rows]
    # Without a cache, files are read again.
    with contextlib.suppress(OSError), files.replacing_file(path) as new:
        np.savez(new, keys=keys, values=values)
