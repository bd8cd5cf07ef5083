"""Makes JPEG files of 250 to 500 pixels from two real photos.

They are scikit-learn's `china.jpg` (CC BY, Adam Jones) and `flower.jpg` (CC
BY, dany13): each file is a part of one of them at another size and quality.
"""

import concurrent.futures
import os
import pathlib

import numpy as np

CLASSES = 10


def make(root, count):
    """Writes `count` files into `root`, in one subfolder per class."""
    from PIL import Image
    from sklearn import datasets

    images = [
        Image.fromarray(datasets.load_sample_image(name))
        for name in ("china.jpg", "flower.jpg")
    ]

    def write(i):
        rng = np.random.default_rng(i)
        source = images[i // CLASSES % 2]
        width, height = map(int, rng.integers(250, 501, size=2))
        share = rng.uniform(0.6, 1)
        wide = share * min(source.width, source.height * width / height)
        high = wide * height / width
        left = rng.uniform(0, source.width - wide)
        top = rng.uniform(0, source.height - high)
        image = source.resize(
            (width, height),
            Image.Resampling.BICUBIC,
            box=(left, top, left + wide, top + high),
        )
        quality = int(rng.integers(80, 96))
        image.save(class_folder(root, i) / f"{i}.jpg", quality=quality)

    for i in range(CLASSES):
        class_folder(root, i).mkdir(parents=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, range(count)))


def link(root, count, source):
    """Fills `root` with `count` names of the files in `source`."""
    files = sorted(pathlib.Path(source).glob("*/*.jpg"))
    for i in range(CLASSES):
        class_folder(root, i).mkdir(parents=True)
    for i in range(count):
        os.link(files[i % len(files)], class_folder(root, i) / f"{i}.jpg")


def class_folder(root, i):
    return pathlib.Path(root) / f"class_{i % CLASSES}"
