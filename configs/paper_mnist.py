"""The MNIST experiments of Hinton, Vinyals and Dean (2015).

    make paper

runs them all with their seeds and writes `docs/paper.md`. One of them alone,
by its name after a colon, is a stage of the ordinary trainer:

    python -m kd_keras.train --stage=teacher \
        --config=configs/paper_mnist.py:teacher
    python -m kd_keras.train --stage=student \
        --config=configs/paper_mnist.py:no_threes
    python -m kd_keras.train --stage=baseline \
        --config=configs/paper_mnist.py:labels

Choice of the teacher's hyperparameters: seed 0, trained on 50,000 pictures,
accuracy and loss on the 10,000 others (standard error 0.1 points), dropout of 0
of the pixels and 0.4 of the hidden units, by

    python -m kd_keras.train --stage=teacher \
        --config=configs/paper_mnist.py:teacher \
        --config.data.validation_examples=10000 --workdir=runs/sweep/NAME \
        --savedmodels=runs/sweep/NAME [fields below]

    epochs  max-norm  learning rate  warm-up  accuracy  NLL, nats
        30       2.0           1e-3        0   98.87 %      0.0377
        30       1.0           1e-3        0   98.99 %      0.0342
        30       1.0           3e-3        1   99.03 %      0.0326
       100       1.0           3e-3        1   99.21 %      0.0247
        60       2.0           5e-4        0   99.25 %      0.0265
        60       1.0           5e-4        0   99.16 %      0.0271
        60       1.0           1e-3        0   99.31 %      0.0225
        60       0.6           1e-3        0   99.31 %      0.0221

Pictures enter with mean 0 and variance 1, so that a norm of 0.6 at the first
layer is 2 for pixels of 0 to 1. The loss still falls with the epochs, so the
final runs have 200. Hardware: Intel Xeon with AVX512, 2 cores, no GPU,
float32; 4 s an epoch, 7 to 10 beside other work.

Of the students, from a teacher of 99.21 % (100 epochs, the fourth line), the
same way:

    stage                epochs  learning rate  weight of labels  validation
    student (soft)           20           1e-3                 -     98.82 %
    student (soft)           20           3e-3                 -     98.98 %
    student (soft_hard)      20           1e-3               0.1     98.93 %
    baseline (labels)        20           3e-4                 -     97.93 %
    baseline (labels)        20           1e-3                 -     98.39 %
    baseline (labels)        20           3e-3                 -     98.35 %

and from the one of 99.31 % (60 epochs, norm 1):

    student (soft)           50           3e-3                 -     99.03 %
    student (soft)           50           1e-2                 -     98.48 %

There the student has learned the teacher's predictions of the transfer set by
heart (it agrees with 99.97 % of them, and with 99.46 % of the held-out ones).

After two final runs of `soft` in batches of 512 (100 epochs, rate 3e-3) had
made 78 and 76 test errors, other batches were tried, again on held-out
pictures, by

    python -m kd_keras.train --stage=student \
        --config=configs/paper_mnist.py:soft \
        --config.data.validation_examples=10000 --config.student.epochs=20 \
        --config.teacher.path=runs/paper/teacher/seed0/teacher/teacher.keras \
        --workdir=runs/sweep/NAME --savedmodels=runs/sweep/NAME [fields below]

(20 epochs, one core of an AMD EPYC, bfloat16). That is the final teacher, which
has been trained on the held-out pictures, too; so the loss tells more than the
accuracy. Each run wrote a test figure, which the choice did not use.

    stage           batch  learning rate  validation loss  agreement  seconds
    student (soft)    512           3e-3            0.233    99.55 %       49
    student (soft)    128         1.5e-3            0.164    99.64 %       91
    student (soft)    128           3e-3            0.170    99.67 %       83
    student (soft)     64         1.5e-3            0.151    99.67 %      133

The baseline's, on 50,000 pictures and 20 epochs, with --stage=baseline and
--config=configs/paper_mnist.py:labels:

    stage              batch  learning rate  validation loss  accuracy
    baseline (labels)    512           1e-3           0.0746   98.33 %
    baseline (labels)    128           1e-3           0.0797   98.56 %
    baseline (labels)    128           5e-4           0.0771   98.39 %
    baseline (labels)     64           5e-4           0.0845   98.48 %

Five final runs of it at 512, 100 epochs, had been made before: 137, 143, 134,
132, 129 test errors, mean 135.0. As the students have it, 128 and 60 epochs,
which the row shows, it makes 138, 141, 144, 148, 140, mean 142.2: against the
better of the two the students' gain is smaller by 7 errors.

128 was taken for both, with 60 epochs, for its time; that length was not tried
on held-out pictures, and 64 fits the students better. SGD of momentum 0.9,
batch 128, diverged at rates of 0.3 and 0.05. On the test set no gain shows:
five students at 128 make 76.0 errors. The jittered row was added after those
were known; its fewer errors are within chance of three and five seeds, its
agreement is not.

Final runs train on all 60,000 pictures; the test set is read once a run.
"""

from kd_keras.config import default_config

GRID_UNITS = (800, 300, 30)
GRID_TEMPERATURES = (1.0, 2.5, 4.0, 8.0, 20.0, 40.0)

# Of many students: fewer and larger batches take less time.
_SHORT = {
    "student.epochs": 30,
    "student.batch_size": 512,
    "student.optimizer.learning_rate": 3e-3,
}

# What an experiment changes.
EXPERIMENTS = {
    "teacher": {},
    # The student's network on labels, and from the teacher with labels
    # beside it, as the paper has it, and without.
    "labels": {},
    "soft_hard": {"distill.hard_loss_weight": 0.1},
    "soft": {},
    # What the transfer set's lack of jitter costs.
    "soft_jitter": {"data.augment.translate": 2, "store.views": 20},
    "no_threes": {"transfer.omit_classes": (3,)},
    "sevens_eights": {"transfer.only_classes": (7, 8)},
    # 1,800 pictures, and 10,000 others to stop early on.
    **{
        f"three_percent_{targets}": {
            "data.validation_examples": 10_000,
            "transfer.fraction": 0.036,
            "student.epochs": 200,
            # So that the first epochs of a run are those of a longer one.
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
    # Logit matching, which high temperatures tend to.
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
    if experiment not in EXPERIMENTS:
        raise ValueError(
            f"the experiment must be one of {', '.join(EXPERIMENTS)}. "
            f"Received: {experiment!r}"
        )
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
    # The transfer set is not jittered: one view is all.
    config.store.path = "auto"
    config.store.views = 1
    config.store.dtype = "float32"
    config.update_from_flattened_dict(EXPERIMENTS[experiment])
    return config
