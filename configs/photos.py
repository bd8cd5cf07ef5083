"""Photos in a folder with one subfolder per class: start from here.

    kd-keras train --config=photos --config.data.data_dir=DIRECTORY

Trains a ResNet-18 of half its widths on the labels, and distils it into one
of a quarter: 2.8 million parameters into 0.7 million. A tenth of each class is
held out for the test, and a tenth of the rest for validation. To distil a
teacher of your own, for images of 128 pixels:

    kd-keras train --config=photos --config.data.data_dir=DIRECTORY \
        --stage=student --config.teacher.path=FILE

Settings to change first: `data.image_size` (96 to 224), `teacher.epochs` and
`student.epochs` (fewer for tens of thousands of images, more for hundreds),
and the batch sizes (128 for 10,000 images or more).
"""

from kd_keras.config import augment_recipe, default_config


def get_config():
    config = default_config()
    config.name = "photos"
    config.precision = "auto"
    config.data.name = "folder"
    config.data.image_size = 128
    config.data.validation_examples = 0.1
    config.data.augment.update(augment_recipe("photos_light"))

    for role, widths, epochs in (
        ("teacher", (32, 64, 128, 256), 40),
        ("student", (16, 32, 64, 128), 60),
    ):
        config[role].model = "resnet18"
        config[role].widths = widths
        config[role].epochs = epochs
        config[role].batch_size = 32
    for stage, role in (
        ("teacher", "teacher"),
        ("student", "student"),
        ("baseline", "student"),
    ):
        optimizer = config[stage].optimizer
        # Two epochs, and a share of them in a training of another length.
        epochs = config[role].get_ref("epochs").to_float()
        optimizer.warmup_epochs = epochs * 2 / config[role].epochs
        optimizer.learning_rate = 2e-3
        optimizer.weight_decay = 0.05
    return config
