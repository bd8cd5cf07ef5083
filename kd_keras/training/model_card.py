"""Writes the model card of a trained model."""

import json

from kd_keras.models import class_names
from kd_keras.training import extension
from kd_keras.utils import tables


def model_card(
    *,
    name,
    training,
    outputs,
    network,
    image_size,
    config,
    dataset,
    train,
    few_labels,
    report,
    versions,
    command,
):
    """The text of `model_card.md`.

    Args:
        name: str, the model's name.
        training: str, a sentence about how the model was trained.
        outputs: list of str, the names of its outputs.
        network: str, the name of its architecture.
        image_size: int, height and width that the model resizes images to; 0
            if it takes them as they are.
        config: the resolved configuration.
        dataset: `datasets.Dataset`.
        train: `Examples` that the model was trained on.
        few_labels: `few_labels.FewLabels`, which of them have labels.
        report: dict, as in `report.json`.
        versions: dict, as in `versions.json`.
        command: str, the command of the training.

    Returns:
        str, Markdown.
    """
    shape = " x ".join(str(size) for size in train.image_shape)
    text = tables.markdown_text
    spec = train.image_spec
    return f"""# {name}

{_warned(training, report)}

- Input: `images`, {spec.dtype} `[batch, height, width, channels]`, {shape}, \
{spec.low:g} to {spec.high:g};
  the normalisation{_resizing(image_size)} inside.
- Output: {_listed(outputs)}, float32{_classes(report)}.
- Data: {text(dataset.name)}, {_examples(train, few_labels)}, from
  {text(dataset.source)}; the test set was read once, after training.
- Network: {text(network)}

{_measures(config, report)}

Command, at commit `{versions["commit"]}`:

    {command}

Hardware: {versions["processor"]}, {versions["threads"]} threads; GPUs:
{", ".join(map(str, versions["gpus"])) or "none"}.

Python {versions["python"]}, {_packages(versions)}.

Configuration:

```json
{json.dumps(config.to_dict(), indent=2)}
```
"""


def _warned(training, report):
    """The sentence about the training, after a warning if there is one."""
    if "warning" in report:
        return f"**Not for use.** {report['warning']}\n\n{training}"
    return training


def _listed(outputs):
    *first, last = (f"`{name}`" for name in outputs)
    return f"{', '.join(first)} and {last}" if first else last


def _examples(train, few_labels):
    """The number of training examples, and the choice of labelled ones."""
    counted = f"{len(train):,} training examples"
    if not few_labels:
        return counted
    if not train.labelled:
        return f"{counted} without labels"
    return f"{counted} ({few_labels})"


def _resizing(image_size):
    if not image_size:
        return " is"
    return f" and the resizing to {image_size} x {image_size} are"


def _classes(report):
    names = report.get("class_names")
    if not names:
        return ""
    described = tables.markdown_text(class_names.described(names))
    return f",\n  of the classes {described}"


def _measures(config, report):
    """A Markdown table of the report."""
    rows = [
        ("measured", ""),
        ("parameters", f"{report['parameters']:,}"),
    ]
    if report["macs"] is not None:
        rows.append(("multiply-accumulates", f"{report['macs']:,}"))
    if report["test_examples"]:
        errors = f"{report['test_errors']} of {report['test_examples']}"
        rows += [
            ("test errors", errors),
            ("test accuracy", f"{report['test_accuracy']:.2%}"),
            ("test negative log-likelihood", f"{report['test_nll']:.4f}"),
        ]
    if report.get("agreement") is not None:
        agreement = f"{report['agreement']:.2%}"
        rows.append(("agreement with the teacher", agreement))
    if report.get("teacher_errors") is not None:
        errors = f"{report['teacher_errors']} of {report['test_examples']}"
        rows.append(("test errors of the teacher", errors))
    if "probe" in report:
        rows += _probe_rows(report["probe"])
    rows += [
        ("epochs", extension.text(report)),
        ("seconds of training", f"{report['seconds']:.0f}"),
        ("seed", str(config.seed)),
    ]
    return tables.markdown(rows)


def _probe_rows(fitted):
    """Rows about how the head of a probe teacher was chosen."""
    rows = [("C of the regression", f"{fitted['strength']:.3g}")]
    if fitted["accuracy"] is not None:
        name = f"accuracy by {fitted['chosen_by']}"
        rows.append((name, f"{fitted['accuracy']:.2%}"))
    return rows


def _packages(versions):
    return ", ".join(
        f"{package} {version}"
        for package, version in versions["packages"].items()
        if version
    )
