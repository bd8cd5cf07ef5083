"""The MNIST experiments of Hinton, Vinyals and Dean (2015).

    make paper

runs all experiments with their seeds and writes `docs/paper.md`, which has the
results beside the paper's. One experiment, named after a colon, is a stage of
the trainer:

    python -m kd_keras.train --stage=teacher --config=paper_mnist:teacher
    python -m kd_keras.train --stage=student --config=paper_mnist:no_threes
    python -m kd_keras.train --stage=baseline --config=paper_mnist:labels

Source: section 3 of https://arxiv.org/abs/1503.02531. Optimizer, epochs,
max-norm, dropout rates and the weight of labels are ours.

Measured, test errors of 10,000 (Intel Xeon with AVX512, 2 cores, no GPU; final
runs on all 60,000 images):

    teacher                  68.0 ± 1.7    (paper: 67)
    labels                  142.2 ± 3.9    (paper: 146)
    soft_hard                76.2 ± 5.3    (paper: 74)
    soft                     76.0 ± 5.6

The choice of all settings: `docs/experiments/paper_mnist.md`.
"""

from kd_keras.config import default_config
from kd_keras.utils.suggestions import check_choice

GRID_UNITS = (800, 300, 30)
GRID_TEMPERATURES = (1.0, 2.5, 4.0, 8.0, 20.0, 40.0)

# For many students: fewer epochs and larger batches take less time.
_SHORT = {
    "student.epochs": 30,
    "student.batch_size": 512,
    "student.optimizer.learning_rate": 3e-3,
}

# The fields that each experiment changes.
EXPERIMENTS = {
    "teacher": {},
    # The student's network on labels; on labels and the teacher, as in the
    # paper; on the teacher alone.
    "labels": {},
    "soft_hard": {"distill.hard_loss_weight": 0.1},
    "soft": {},
    # Shows the cost of a transfer set without jitter.
    "soft_jitter": {"data.augment.translate": 2, "store.views": 20},
    "no_threes": {"transfer.omit_classes": (3,)},
    "sevens_eights": {"transfer.only_classes": (7, 8)},
    # 1,800 images, and 10,000 others to stop early on.
    **{
        f"three_percent_{targets}": {
            "data.validation_examples": 10_000,
            "transfer.fraction": 0.036,
            "student.epochs": 200,
            # A shorter run then equals the first epochs of a longer one.
            "baseline.optimizer.schedule": "constant",
        }
        for targets in ("labels", "soft")
    },
    **{
        f"grid_{units}_T{temperature:g}": {
            **_SHORT,
            "student.widths": (units, units),
            "distill.temperature": temperature,
        }
        for units in GRID_UNITS
        for temperature in GRID_TEMPERATURES
    },
    # Logit matching, the limit of high temperatures.
    "matching": {**_SHORT, "distill.loss": "mse"},
    **{
        f"matching_T{temperature:g}": {
            **_SHORT,
            "distill.temperature": temperature,
        }
        for temperature in (100.0, 1000.0)
    },
}


def get_config(experiment="soft"):
    check_choice(experiment, EXPERIMENTS, what="the experiment")
    config = default_config()
    config.name = "paper_mnist"
    config.data.name = "mnist"
    config.precision = "auto"

    config.teacher.model = "mlp"
    config.teacher.widths = (1200, 1200)
    config.teacher.dropout = (0.0, 0.4, 0.4)
    config.teacher.max_norm = 0.6
    config.teacher.augment.translate = 2
    config.teacher.epochs = 200
    config.teacher.batch_size = 512
    config.teacher.optimizer.learning_rate = 1e-3

    config.student.model = "mlp"
    config.student.widths = (800, 800)
    config.student.epochs = 60
    config.student.batch_size = 128
    config.student.optimizer.learning_rate = 1.5e-3
    config.baseline.optimizer.learning_rate = 1e-3
    config.distill.temperature = 20.0
    # The transfer set is not jittered, so there is one view only.
    config.store.path = "auto"
    config.store.views = 1
    config.store.dtype = "float32"
    config.update_from_flattened_dict(EXPERIMENTS[experiment])
    return config
