"""Names of the files of a store, and the number of examples in each."""

BATCH_SIZE = 500
# For files whose size is not chosen. They are read at random and stay open:
# reading more files than may be open is far slower.
_LEAST_SHARD_VIEWS = 5000
_MOST_SHARDS = 128
# The usual limit of a file, which is made in memory.
_FILE_BYTES = 2**28
# A file holds a whole batch of the teacher's, unless that is larger than this.
_MOST_FILE_BYTES = 2**30


def ids_file(part):
    """Name of the file with a part's ids."""
    return f"{part}-ids.npy"


def order_file(part):
    """Name of the file with the positions of a part's ids in their order."""
    return f"{part}-ids-order.npy"


def ids_files(part, manifest):
    """Names of the files with a part's ids: none if they are a range.

    Args:
        part: `train`, `validation` or `test`.
        manifest: dict; see `manifest.plan`.
    """
    # Earlier versions wrote a file of ids in any case.
    record = manifest["parts"][part].get("ids")
    if isinstance(record, dict):
        return []
    if record == "unsorted":
        return [ids_file(part), order_file(part)]
    return [ids_file(part)]


def array_names(manifest):
    """Names of a store's arrays in the names of its files: list of str.

    The logits come first, if any, with an empty name; then each feature.
    """
    logits = [""] if manifest["num_classes"] else []
    count = len(manifest.get("features", ()))
    return logits + [f"feature{index}-" for index in range(count)]


def num_shards(part, manifest):
    """Number of files with an array of a part."""
    fields = manifest["parts"][part]
    return -(-fields["examples"] // fields["shard_examples"])


def shard_file(part, manifest, index, array=""):
    """Name of a file with an array of a part.

    Args:
        part: `train`, `validation` or `test`.
        manifest: dict; see `manifest.plan`.
        index: int, the number of the file.
        array: str, one of `array_names`.
    """
    count = num_shards(part, manifest)
    return f"{part}-{array}{index:05d}-of-{count:05d}.npy"


def shard_files(part, manifest, array=""):
    """Names of the files with an array of a part, in order.

    Args:
        part: as of `shard_file`.
        manifest: as of `shard_file`.
        array: as of `shard_file`.
    """
    count = num_shards(part, manifest)
    return [f"{part}-{array}{i:05d}-of-{count:05d}.npy" for i in range(count)]


def shard_size(part, manifest, index):
    """Number of examples in a file of a part."""
    fields = manifest["parts"][part]
    size = fields["shard_examples"]
    return min(size, fields["examples"] - index * size)


def all_files(manifest):
    """Names of all files of a store except the manifest: list of str."""
    return [
        file
        for part in manifest["parts"]
        for file in (
            *ids_files(part, manifest),
            *(
                name
                for array in array_names(manifest)
                for name in shard_files(part, manifest, array)
            ),
        )
    ]


def batch_size(part, manifest):
    """Number of examples that a teacher labels at once for a part."""
    return min(BATCH_SIZE, manifest["parts"][part]["shard_examples"])


def shard_examples(count, *, views, shard_views, row_bytes):
    """Plans the number of examples in a file: whole batches of the teacher's.

    The teacher then computes each batch from the same images, and so to the
    same bits, whichever process labels the file.

    Args:
        count: int, number of examples of the part.
        views: int, number of views of each of them.
        shard_views: int, approximate number of views in a file; 0 for
            5,000, or more such that 128 files hold all.
        row_bytes: int, the most bytes of a view in a file.

    Returns:
        int. If a file of a single batch would be too large, batches have this
        smaller size, too.
    """
    most = _MOST_FILE_BYTES // (views * row_bytes)
    if most < BATCH_SIZE:
        return max(most, 1)
    if not shard_views:
        shard_views = max(_LEAST_SHARD_VIEWS, count * views // _MOST_SHARDS)
    shard_views = min(shard_views, max(_FILE_BYTES // row_bytes, 1))
    shards = -(-count * views // shard_views)
    examples = -(-count // shards)
    return -(-examples // BATCH_SIZE) * BATCH_SIZE
