"""Exports a trained network as a SavedModel for serving."""

import json

import tensorflow as tf

from kd_keras.models import batch_norm
from kd_keras.utils import files


def export_saved_model(model, path):
    """Exports a network as a SavedModel that TensorFlow serves by itself.

    The signature `serving_default` takes `images`, uint8 `(batch, height,
    width, channels)`, and returns float32 `logits` and `probabilities`
    `(batch, num_classes)`. `float_images` takes the same images as float32,
    0 to 255; the converter to int8 needs it. The SavedModel is written whole
    or not at all.

    Args:
        model: Keras model, images from 0 to 255 -> logits.
        path: str or path of the directory. A directory that this program
            wrote is replaced.

    Raises:
        ValueError: if the directory holds files that this program did not
            write.
    """
    with files.replacing_directory(path) as new:
        write_saved_model(model, new)


def write_saved_model(model, directory):
    """Writes a SavedModel into a new directory; see `export_saved_model`."""

    def serve(images):
        with batch_norm.fused(model):
            logits = model(tf.cast(images, tf.float32), training=False)
        logits = tf.cast(logits, tf.float32)
        return {"logits": logits, "probabilities": tf.nn.softmax(logits)}

    def signature(dtype):
        shape = (None, *model.input_shape[1:])
        spec = tf.TensorSpec(shape, dtype, "images")
        return tf.function(serve, input_signature=[spec])

    # Not Keras's ExportArchive, which stores every variable twice.
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    tf.saved_model.save(
        module,
        str(directory),
        signatures={
            "serving_default": signature(tf.uint8),
            "float_images": signature(tf.float32),
        },
    )


def model_card(
    *, name, stage, config, dataset, train, report, versions, command
):
    """The text of `model_card.md`.

    Args:
        name: str, the model's.
        stage: str.
        config: the resolved configuration.
        dataset: `datasets.Dataset`.
        train: the examples that it was trained on.
        report: dict, as in `report.json`.
        versions: dict, as in `versions.json`.
        command: str, what was run.

    Returns:
        str, Markdown.
    """
    training = {
        "teacher": "Trained on labels.",
        "student": "Trained on the softened predictions of a frozen teacher, "
        + (
            "with labels beside them."
            if config.distill.hard_loss_weight
            else "without labels."
        ),
        "baseline": "The student's network trained on labels.",
        "specialist": _specialist_training(report),
    }[stage]
    network = config[
        "student" if stage in ("student", "baseline") else "teacher"
    ]
    rows = [
        ("parameters", f"{report['parameters']:,}"),
        ("multiply-accumulates", f"{report['macs']:,}"),
    ]
    if report["test_examples"]:
        rows += [
            (
                "test errors",
                f"{report['test_errors']} of {report['test_examples']}",
            ),
            ("test accuracy", f"{report['test_accuracy']:.2%}"),
            ("test negative log-likelihood", f"{report['test_nll']:.4f}"),
        ]
    if report.get("agreement") is not None:
        rows.append(
            ("agreement with the teacher", f"{report['agreement']:.2%}")
        )
    rows += [
        ("epochs", report["epochs"]),
        ("seconds of training", f"{report['seconds']:.0f}"),
        ("seed", config.seed),
    ]
    table = "\n".join(f"| {key} | {value} |" for key, value in rows)
    packages = ", ".join(
        f"{package} {version}"
        for package, version in versions["packages"].items()
        if version
    )
    shape = " x ".join(str(size) for size in train.image_shape)
    return f"""# {name}

{training}

- Input: `images`, uint8 `[batch, height, width, channels]`, {shape}, 0 to 255;
  the normalisation is inside.
- Output: `logits` and `probabilities`, float32.
- Data: {dataset.name}, {len(train):,} training examples, from
  {dataset.source}; the test set was read once, after training.
- Network: {network.model}

| measured | |
|---|---|
{table}

Command, at commit `{versions["commit"]}`:

    {command}

Hardware: {versions["processor"]}, {versions["threads"]} threads; GPUs:
{", ".join(map(str, versions["gpus"])) or "none"}.

Python {versions["python"]}, {packages}.

Configuration:

```json
{json.dumps(config.to_dict(), indent=2)}
```
"""


def _specialist_training(report):
    if "class_sets" in report:
        return (
            "A generalist and its specialists for the classes "
            f"{report['class_sets']}, as one prediction (eq. 5 of "
            "arXiv:1503.02531)."
        )
    return (
        "A generalist trained on with labels for the classes "
        f"{report.get('classes')}, and held to its own softened predictions "
        "on examples of others."
    )
