"""CIFAR-10: an airbench teacher, a student of a seventh of its parameters.

All stages:

    make cifar10

The recipe is airbench's (https://arxiv.org/abs/2404.00498) without label
smoothing, lookahead and the larger learning rate of biases, with Muon's steps
for the convolutions (`kd_keras.optimizers.Muon`), a schedule that ends at 0,
BatchNorm's averages over ten batches, and for the teacher cutout.

Choice of hyperparameters: accuracy on 5,000 images held out of the 50,000
(standard error 0.4 points), seed 0, by

    python -m kd_keras.train --stage=STAGE --config=configs/cifar10.py \
        --config.data.validation_examples=5000 --workdir=runs/sweep/NAME \
        --savedmodels=runs/sweep/savedmodels [fields below]

The student, from an earlier teacher (570,296 parameters, 93.14 %) and its
store of ten views, 10 epochs (AMD EPYC with AVX512-BF16, bfloat16); agreement
with the teacher on the 45,000 and on the 5,000:

    batch  kernel rate  temperature  BatchNorm  accuracy   agreement
      256         0.17            8        0.6   90.32 %  92.19  91.08
      256         0.17            8        0.9   90.52 %  92.19  91.34
      128         0.24            8        0.9   90.78 %  91.96  91.56
      256         0.17 (a)        8        0.9   90.26 %  92.06  91.02
      256         0.17 (a)       8-1       0.9   90.68 %  92.40  91.20
      256         0.17 (b)        8        0.6   90.90 %  91.55  91.56

BatchNorm: the momentum of its averages; with a batch of 128 the learning rate
was 0.19 instead of 0.375; (a), (b): shifts of BatchNorm at 16 and 64 times the
learning rate, which the code has not kept. Two more were stopped early and say
nothing: shifts at 4 times (one epoch), a third convolution in each group (some
three epochs, behind then). One seed each: the lines do not differ by more than
chance, the second alone has the weights of the first and so is a fair pair.

What was kept, 8-1 without (a), was not run on held-out images before its final
runs; it was taken from the agreement on the 45,000 with (a), 92.40 for 92.06.
The 5,000 were among the images that the teacher was trained on. Runs of the
search write a test figure too, which no choice was made by.

The baseline had a smaller search than the student, neither batch 128 nor (a),
(b) among it. 10 epochs: 89.84 % with a kernel rate of 0.17, and, after the
final runs, 89.32 % with 0.26. Before, on an Intel Xeon, float32:

    stage     optimizer  kernel rate  validation
    baseline  sgd                  -  85.16 % (4 epochs)
    baseline  muon              0.06  82.02 % (4 epochs)
    baseline  muon              0.13  85.68 % (4 epochs)
    baseline  muon              0.26  86.94 % (4 epochs)
    student   muon              0.17  90.80 % (10 epochs)
    ... T=2   muon              0.17  90.68 % (10 epochs)
    student   muon              0.26  90.54 % (10 epochs)
    student   muon              0.52  80.60 % (7 of 10; 0.26 then had 86.78 %)

The teacher's rate of kernels follows from these by the square roots of batch
and steps; it was not searched. Of the earlier teachers, by SGD, one of 30
epochs without cutout had 98.1 % of the training images right and 92.75 % of
the test images, one of 36 epochs with it 93.14 %.

Final runs on all 50,000 images, test images read once a run (AMD EPYC, 2
cores, bfloat16, exported in float32; the teacher with both cores, the others
with one, two side by side); student and baseline with seeds 0, 1, 2, the
student from one teacher and one store; errors of 10,000, mean accuracy and
standard deviation, median seconds of training, with other work beside at times:

    teacher   16 epochs   621               93.79 %         1833 s
    student   10 epochs   858, 920, 922     91.00 % ± 0.36    403 s
    baseline  10 epochs   1007, 1008, 1018  89.89 % ± 0.06    405 s

    python -m kd_keras.train --stage=teacher --config=configs/cifar10.py
    python -m kd_keras.label --config=configs/cifar10.py \
        --config.data.augment.seed=0 --config.store.views=10
    python -m kd_keras.train --stage=student --config=configs/cifar10.py \
        --config.data.augment.seed=0 --config.store.path=runs/cifar10/store \
        --config.seed=SEED --workdir=runs/cifar10_seedSEED \
        --savedmodels=runs/savedmodels_seedSEED \
        --config.teacher.path=savedmodels/cifar10_teacher
    python -m kd_keras.train --stage=baseline --config=configs/cifar10.py \
        --config.data.augment.seed=0 --config.seed=SEED \
        --workdir=runs/cifar10_seedSEED --savedmodels=runs/savedmodels_seedSEED

Before, from the teacher of 93.14 %, at a temperature of 8 to the end and with
BatchNorm's momentum of 0.6 (Intel Xeon, float32): student 939, 975, 1013, by
SGD 974, 964, 1023; baseline 982, by SGD 1040.
"""

from kd_keras.config import default_config


def get_config():
    config = default_config()
    config.name = "cifar10"
    config.precision = "auto"
    config.data.name = "cifar10"
    config.data.augment.translate = 2
    config.data.augment.mirror = "alternating"

    config.teacher.model = "airbench"
    config.teacher.widths = (64, 256, 256)
    config.teacher.augment.cutout = 8
    config.teacher.epochs = 16
    config.teacher.batch_size = 512
    _recipe(
        config.teacher.optimizer,
        learning_rate=0.75,
        kernel_learning_rate=0.13,
        warmup_epochs=2.0,
    )

    config.student.model = "airbench"
    config.student.widths = (32, 64, 128)
    config.student.epochs = 10
    config.student.batch_size = 256
    for optimizer in (config.student.optimizer, config.baseline.optimizer):
        _recipe(
            optimizer,
            learning_rate=0.375,
            kernel_learning_rate=0.17,
            warmup_epochs=2.0,
        )
    config.distill.temperature = 8.0
    config.distill.final_temperature = 1.0
    return config


def _recipe(optimizer, *, learning_rate, kernel_learning_rate, warmup_epochs):
    """airbench's SGD (the source is in `kd_keras.models.airbench`), and Muon's
    steps for the convolutions."""
    optimizer.name = "muon"
    optimizer.learning_rate = learning_rate
    optimizer.kernel_learning_rate = kernel_learning_rate
    optimizer.momentum = 0.85
    optimizer.weight_decay = 9e-3
    optimizer.schedule = "linear"
    optimizer.warmup_epochs = warmup_epochs
