"""The ids of a store's examples: a range, or files to search."""

import numpy as np

from kd_keras.store import layout

# Ids that are compared at once.
_CHUNK = 2**20


def described(ids):
    """Describes the ids of a part, for the manifest.

    Args:
        ids: int64 array `(n,)` without repetitions, or a `range`.

    Returns:
        dict of `start` and `step` if they are a range, which needs no file;
        else `sorted` or `unsorted`: the ids are searched in a file.
    """
    if isinstance(ids, range) and ids.step > 0:
        return {"start": ids.start, "step": ids.step}
    start = int(ids[0])
    step = int(ids[1]) - start if len(ids) > 1 else 1
    if step > 0 and _all_chunks(
        ids,
        lambda chunk, first: (
            chunk == start + step * np.arange(first, first + len(chunk))
        ).all(),
    ):
        return {"start": start, "step": step}
    increases = _all_chunks(ids, lambda chunk, _: (np.diff(chunk) > 0).all())
    return "sorted" if increases else "unsorted"


def arrays(part, manifest, ids):
    """The files of a part's ids: dict of names to int64 arrays.

    Args:
        part: `train`, `validation` or `test`.
        manifest: dict; see `manifest.plan`.
        ids: int64 array `(n,)`; not used if they are a range.
    """
    contents = {
        layout.ids_file(part): lambda: np.asarray(ids, "int64"),
        layout.order_file(part): lambda: np.argsort(ids, kind="stable"),
    }
    return {name: contents[name]() for name in layout.ids_files(part, manifest)}


class Positions:
    """Finds the positions of ids among the examples of a part.

    Args:
        part: `train`, `validation` or `test`.
        manifest: dict; see `manifest.plan`.
        files: `mapped_files.MappedFiles` of the store.
    """

    def __init__(self, part, manifest, files):
        fields = manifest["parts"][part]
        self._part = part
        self._count = fields["examples"]
        self._record = fields.get("ids")
        self._files = files
        self._order_in_memory = None

    def find(self, ids):
        """Positions of some ids: int64 `(n,)` for int64 `(n,)`.

        Raises:
            ValueError: if an id is of no example of the part.
        """
        if self._record is None:
            self._describe()
        find = (
            self._count_up if isinstance(self._record, dict) else self._search
        )
        known, positions = find(ids)
        if not known.all():
            raise ValueError(
                f"ids must be in the store's part {self._part!r}. Received: "
                f"{ids[~known][0]} and {(~known).sum() - 1} more that are not"
            )
        return positions

    def _describe(self):
        """Describes the ids of a store that an earlier version wrote."""
        ids = self._mapped(layout.ids_file(self._part))
        record = described(ids)
        if record == "unsorted":
            self._order_in_memory = np.argsort(ids, kind="stable")
        self._record = record

    def _count_up(self, ids):
        start, step = self._record["start"], self._record["step"]
        known = (ids >= start) & (ids <= start + step * (self._count - 1))
        if not start and step == 1:
            return known, ids
        positions, rest = np.divmod(np.where(known, ids - start, 0), step)
        return known & (rest == 0), positions

    def _search(self, ids):
        mapped = self._mapped(layout.ids_file(self._part))
        order = self._order()
        places = np.searchsorted(mapped, ids, sorter=order)
        places = np.minimum(places, self._count - 1)
        positions = places if order is None else order[places]
        return mapped[positions] == ids, positions

    def _order(self):
        if self._record == "sorted":
            return None
        if self._order_in_memory is not None:
            return self._order_in_memory
        return self._mapped(layout.order_file(self._part))

    def _mapped(self, name):
        return self._files.array(
            name, lambda name: (name, (self._count,), np.dtype("int64"))
        )


def _all_chunks(ids, holds):
    """Whether a condition holds for all ids, checked a chunk at a time.

    Args:
        ids: int64 array, or a `range`.
        holds: function of some successive ids and the position of the first.
            The last id of a chunk is the first of the next.
    """
    return all(
        holds(np.asarray(ids[start : start + _CHUNK + 1], "int64"), start)
        for start in range(0, len(ids), _CHUNK)
    )
