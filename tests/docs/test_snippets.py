"""The snippets and the fast commands of each page work, in their order.

A page has a scratch directory with the shipped models. Its commands run first,
shortened, then its Python snippets, in one namespace.
"""

import keras
import numpy as np
import pages
import photos
import pytest
import tensorflow as tf
from commands import run_forked
from pages import REPOSITORY

import kd_keras
from kd_keras.data import sources
from kd_keras.evaluation import metrics

pytestmark = pytest.mark.slow

# Pages whose commands run; `test_commands.py` checks the flags of the others.
RUN = (
    "docs/guides/augmentations.md",
    "docs/guides/missing_classes.md",
    "docs/guides/store.md",
    "docs/guides/your_classifier.md",
)
# Commands with these words need a data set that is not in the package.
DOWNLOADS = ("cifar", "fashion_mnist")
# Flags that shorten a command.
SHORTER = {
    "label": [
        "--config.data.max_train_examples=512",
        "--config.data.validation_examples=200",
    ],
    "train": [
        "--config.data.max_train_examples=512",
        "--config.data.validation_examples=200",
        "--config.student.epochs=2",
        "--config.student.batch_size=32",
        "--config.baseline.labels_per_class=0",
    ],
}
# Pages with another test for their snippets.
OTHERS = ["README.md", "docs/guides/deploy.md", "docs/guides/store.md"]


def shortened(arguments):
    """A command with the flags that shorten it, each given once."""
    flags = SHORTER.get(arguments[0], [])
    names = {flag.split("=")[0] for flag in flags}
    return [a for a in arguments if a.split("=")[0] not in names] + flags


@pytest.fixture(scope="module")
def directories(tmp_path_factory, mnist):
    """A directory for each page, in which its commands have run: dict."""
    places, cases = {}, []
    for page in pages.PAGES:
        places[page] = place = tmp_path_factory.mktemp("page")
        for name in ("savedmodels", "configs"):
            (place / name).mkdir()
            for path in (REPOSITORY / name).iterdir():
                (place / name / path.name).symlink_to(path)
        for block in pages.blocks(page, "python"):
            if block.title:
                (place / block.title).write_text(block.text)
    folder = places["docs/guides/augmentations.md"] / "photos"
    photos.write_folder(folder, mnist.train.images[:20])
    for page in RUN:
        for program, *arguments in pages.command_lines(page):
            line = " ".join(arguments)
            if program == "kd-keras" and not any(
                word in line for word in DOWNLOADS
            ):
                cases.append([str(places[page]), shortened(arguments)])
    answers = run_forked("documented_command", cases)
    for (_, arguments), (code, output) in zip(cases, answers, strict=True):
        assert code == 0, f"kd-keras {' '.join(arguments)}\n{output}"
    return places


@pytest.fixture
def run_page(directories, monkeypatch):
    """Runs the snippets of a page in its directory; returns their names."""

    def run(page, *, replaced=()):
        monkeypatch.chdir(directories[page])
        names = {"__name__": page}
        for block in pages.blocks(page, "python"):
            text = block.text
            for old, new in replaced:
                text = text.replace(old, new)
            if not block.title:
                exec(compile(text, page, "exec"), names)
        return names

    return run


@pytest.mark.parametrize(
    "page",
    [
        page
        for page in pages.PAGES
        if pages.blocks(page, "python") and page not in OTHERS
    ],
)
def test_snippets_of_a_page(page, run_page, small_mnist, monkeypatch):
    monkeypatch.setattr(sources, "load_dataset", lambda fields: small_mnist)
    # TensorFlow confuses the collectives of two strategies in one process.
    strategy = tf.distribute.get_strategy()
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda: strategy)
    run_page(page)


def test_the_readme_trains_a_good_student(run_page, mnist):
    (block,) = pages.blocks("README.md", "python")
    assert len(block.text.splitlines()) <= 15
    names = run_page("README.md")
    student = keras.models.load_model("student.keras")
    logits = student.predict(mnist.test.images, batch_size=500, verbose=0)
    assert metrics.errors(logits=logits, labels=mnist.test.labels) < 900
    assert names["distiller"].student.count_params() == student.count_params()


def test_the_store_trains_a_student(run_page):
    # The examples that the shortened command has labelled.
    every = "validation_examples=5000"
    chosen = "validation_examples=200, max_train_examples=512"
    names = run_page("docs/guides/store.md", replaced=[(every, chosen)])
    teacher = kd_keras.load_teacher("savedmodels/mnist_teacher")
    examples = names["examples"].subset(range(9))
    views = names["third_view"](examples.ids, examples.images)[1]
    # A float16 store.
    np.testing.assert_allclose(names["logits"], teacher(views), atol=0.05)
    assert names["store"].views == 5
    assert int(names["distiller"].optimizer.iterations) == 4
