"""MNIST: teacher, students, and students whose transfer set lacks classes."""

from experiments.paper import estimates
from experiments.paper.sections import rows

_TEXT = """
## MNIST

{table}

95 % intervals of the means over seeds. They do not cover that the test set
itself is a sample of digits, which adds a standard error of about 8 errors in
70:

{intervals}

These settings differ from the paper, or the paper does not give them: the
optimizer (AdamW without weight decay, cosine schedule), the epochs, max-norm,
the dropout rates and the weight of the labels. The configuration records them.
All students learn from the teacher of seed 0. The transfer set is jittered only
where the row names it. Students learn the teacher's predictions on the transfer
set nearly by heart; with jitter they also agree with the teacher on more test
images.

Biases fitted without labels: a shift of the class's bias makes its mean
prediction over all 60,000 training images 1/10, for one class or for each of
several (`kd_keras.distillation.class_bias`). This needs images of every digit,
none of their labels, and the assumption that all digits are equally frequent.
Over the transfer set itself, which lacks the class, the right mean would be
different. The paper chooses its shift, one for both classes where there are
two, by the test labels. The rows chosen on the test set do the same: they are a
bound, not a measurement.
"""


def text(results):
    """The section as Markdown."""
    return _TEXT.format(
        table=rows.table(results, "mnist"),
        intervals=rows.bullets(intervals(results)),
    )


def intervals(results):
    """Compares the intervals of means with the paper's: list of sentences."""
    sentences = []
    for experiment in rows.of_group("mnist"):
        errors = rows.values(results.get(experiment.name, []), "errors")
        if not experiment.paper.isdigit() or len(errors) < 2:
            continue
        low, high = estimates.mean_interval(errors)
        paper = int(experiment.paper)
        place = "inside" if low <= paper <= high else "outside"
        sentences.append(
            f"`{experiment.name}`: {low:.1f} to {high:.1f}; the paper's {paper}"
            f" is {place}."
        )
    return sentences or [f"{rows.NOT_MEASURED}."]
