"""A folder of PNG and JPEG images."""

import functools
import logging
import pathlib

import tensorflow as tf

from kd_keras.data import datasets, decoding, image_files, readers, splits
from kd_keras.data.sources import images
from kd_keras.utils import digests, file_digests, files, progress

_SUFFIXES = (".png", ".jpg", ".jpeg")
_OTHER_SUFFIXES = (".gif", ".bmp", ".webp", ".tif", ".tiff", ".heic", ".avif")
_log = logging.getLogger(__name__)
# Reading fewer images takes no time worth a progress bar.
_BAR_FROM_IMAGES = 2000


def load(fields):
    """Loads a folder of images.

    A flat folder is a transfer set without labels. With one subfolder per
    class the images have labels. `test_fraction` of them is then held out as
    the test set, unless the folder is split into `train/` and `test/`, each
    with one subfolder per class.

    Args:
        fields: `config.data`. `data_dir` is the folder. `image_size` is the
            side that images are resized to; 0 keeps them as they are, and
            then they must have one size. A set larger than `memory_limit_mb`
            is streamed.

    Returns:
        `datasets.Dataset`.

    Raises:
        ValueError: if the folder is missing or empty, or if an image cannot
            be read or has another size.
    """
    root = pathlib.Path(fields.data_dir)
    if not fields.data_dir or not root.is_dir():
        raise ValueError(
            "data.data_dir must be a folder of PNG or JPEG images. "
            f"Received: {fields.data_dir!r}"
        )
    if (root / "train").is_dir() and (root / "test").is_dir():
        train, class_names = _read_train(root / "train", fields)
        _check_same_classes(root, class_names)
        test = _read(root / "test", class_names, fields)
    else:
        train, class_names = _read_train(root, fields)
        test = None
        if class_names:
            train, test = splits.split_off(train, fields.test_fraction)
    return datasets.Dataset(
        name=root.name,
        train=train,
        test=test,
        source=f"folder {fields.data_dir}",
        class_names=class_names or None,
    )


def _class_names(root):
    """The subfolders of a folder, without hidden ones."""
    names = sorted(
        path.name
        for path in root.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    )
    if names and _images_in(root):
        raise ValueError(
            "images must lie in one subfolder per class, or all in one flat "
            f"folder. Received: {root} with images beside {files.named(names)}"
        )
    return names


def _check_same_classes(root, class_names):
    """Raises a ValueError if `test/` has classes that `train/` lacks."""
    unknown = sorted(set(_class_names(root / "test")) - set(class_names))
    if unknown:
        known = files.named(class_names) or "none"
        raise ValueError(
            "test/ must have the subfolders of train/, one per class. "
            f"Received: {files.named(unknown)} in {root / 'test'}, {known} in "
            "train/"
        )


def _check_no_empty_class(root, class_names):
    """Raises a ValueError if there are no images of a class to train on."""
    empty = [name for name in class_names if not _images_in(root / name)]
    if empty and len(empty) < len(class_names):
        raise ValueError(
            "every class must have PNG or JPEG images to train on. Received: "
            f"{root} with none in {files.named(empty)}"
        )


def _images_in(folder, suffixes=_SUFFIXES):
    """Paths of the images directly in a folder, sorted: list of str."""
    if not folder.is_dir():
        return []
    return sorted(
        str(path)
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes
    )


def _read_train(root, fields):
    """Reads training images: `(examples, class_names)`."""
    class_names = _class_names(root)
    _check_no_empty_class(root, class_names)
    return _read(root, class_names, fields), class_names


def _read(root, class_names, fields):
    """Reads the images of a folder: `Examples`."""
    paths, labels = _list_images(root, class_names)
    shape = _check_images(paths, fields)

    examples = datasets.Examples(
        FileReader(paths, decoding.of(fields, shape)),
        labels if class_names else None,
        num_classes=len(class_names) or None,
    )
    return images.in_memory_if_small(examples, fields.memory_limit_mb)


class FileReader(readers.EncodedReader):
    """Images in files, an id each."""

    def __init__(self, paths, decode):
        super().__init__(len(paths), decode)
        self._paths = paths

    def encoded(self, ids):
        return tf.map_fn(
            tf.io.read_file,
            tf.gather(self._path_tensor, ids),
        )

    @functools.cached_property
    def _path_tensor(self):
        with tf.init_scope(), tf.device("CPU:0"):
            return tf.constant(self._paths)

    def name(self, example_id):
        return self._paths[example_id]

    def contents_digest(self, ids):
        """SHA-256 of some files, not of their names."""
        contents = file_digests.sha256_of_files([self._paths[i] for i in ids])
        return digests.sha256_of_text("\n".join(contents))


def _list_images(root, class_names):
    """Returns `(paths, labels)`, lists; all labels are 0 without classes."""
    folders = [root / name for name in class_names] or [root]
    paths, labels, others = [], [], []
    for label, folder in enumerate(folders):
        others += _images_in(folder, _OTHER_SUFFIXES)
        found = _images_in(folder)
        paths += found
        labels += [label] * len(found)
    if others:
        _log.warning(
            "%d images that are not PNG or JPEG files are left out, such as %s",
            len(others),
            others[0],
        )
    if not paths:
        raise ValueError(
            "the folder must hold PNG or JPEG images, flat or in one "
            f"subfolder per class. Received: none in {root}"
        )
    return paths, labels


def _check_images(paths, fields):
    """Reads every image once.

    Returns:
        `(height, width, channels)` that all images will have.

    Raises:
        ValueError: as `image_files.read_header`, if an image cannot be read or
            has another size.
    """
    shape, dropped, converted = None, 0, 0
    silent = len(paths) < _BAR_FROM_IMAGES
    bar = progress.bar(len(paths), "image", verbose=0 if silent else None)
    for count, path in enumerate(paths, start=1):
        header = image_files.read_header(path)
        size = header.height, header.width
        if shape is None:
            # Transparency is dropped.
            channels = 1 if header.channels <= 2 else 3
            shape = (*size, channels)
            shape = decoding.shape_of(fields, shape)
        if not fields.image_size and size != shape[:2]:
            raise ValueError(
                f"images must have one size ({shape[0]} x {shape[1]} like "
                "the first), or data.image_size must be set. Received: "
                f"{size[0]} x {size[1]} in {path}"
            )
        dropped += header.has_alpha
        converted += shape[-1] == 1 and header.channels > 2
        bar.update(count)
    if dropped:
        _log.warning("the transparency of %d images is dropped", dropped)
    if converted:
        _log.warning(
            "%d images of colour are converted to grey, as the first image is",
            converted,
        )
    return shape
