"""SHA-256 of many files, which are read again only if they have changed.

The user's cache directory (`~/.cache/kd_keras` on Linux) has a JSON file for
each folder of such files. It may be removed at any time.
"""

import concurrent.futures
import contextlib
import json
import os
import time

import platformdirs

from kd_keras.utils import digests, files, progress

# Reading fewer bytes takes no time worth a progress bar.
_BAR_FROM_BYTES = 2**30
# A file that changed so recently may change again without another time.
_SETTLED_SECONDS = 2
# Small files are read faster by several threads.
_THREADS = 8


def sha256_of_files(paths):
    """SHA-256 of the contents of each file.

    A file is not read if its path, its size and both of its times (of the
    contents and of the directory entry) are those of an earlier call.

    Args:
        paths: list of str.

    Returns:
        List of str, 64 hex digits each.

    Raises:
        OSError: if a file cannot be read.
    """
    paths = [os.path.abspath(path) for path in paths]
    folders = {}
    for path in dict.fromkeys(paths):
        folder, name = os.path.split(path)
        folders.setdefault(folder, {})[name] = _identity(path)
    caches = {folder: _read_cache(folder) for folder in folders}
    changed = {
        folder: [n for n in names if caches[folder].get(n, ())[:3] != names[n]]
        for folder, names in folders.items()
    }
    bar = _bar(folders, changed)
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        for folder, names in changed.items():
            full = [os.path.join(folder, name) for name in names]
            hashed = pool.map(digests.sha256_of_file, full)
            for name, digest in zip(names, hashed):
                caches[folder][name] = (*folders[folder][name], digest)
                bar.add(1)
            if names:
                _write_cache(folder, caches[folder])
    return [caches[os.path.dirname(p)][os.path.basename(p)][3] for p in paths]


def _identity(path):
    """A file's size and times: tuple of ints."""
    stat = os.stat(path)
    # The second one cannot be set back by a program.
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _bar(folders, changed):
    sizes = [
        folders[folder][name][0]
        for folder, names in changed.items()
        for name in names
    ]
    silent = sum(sizes) < _BAR_FROM_BYTES
    return progress.bar(len(sizes), "file", verbose=0 if silent else None)


def _cache_path(folder):
    name = digests.sha256(os.fsencode(folder))
    return platformdirs.user_cache_path("kd_keras") / f"{name}.json"


def _read_cache(folder):
    """`{file name: (size, time, time, digest)}`, empty if there is none."""
    try:
        cache = json.loads(_cache_path(folder).read_text())
        return {
            name: (int(size), int(modified), int(changed), str(digest))
            for name, (size, modified, changed, digest) in cache[
                "files"
            ].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write_cache(folder, entries):
    latest = time.time_ns() - _SETTLED_SECONDS * 10**9
    kept = {
        name: entry
        for name, entry in entries.items()
        if max(entry[1:3]) < latest
        and os.path.exists(os.path.join(folder, name))
    }
    text = json.dumps({"folder": folder, "files": kept})
    # Without a cache, files are read again.
    with contextlib.suppress(OSError):
        files.write_text(_cache_path(folder), text)
