"""An ensemble distilled into one network, and the gain that it keeps."""

from experiments.paper import estimates
from experiments.paper.sections import rows

_TEXT = """
## An ensemble distilled into one network

CIFAR-10. All networks have one architecture (airbench, 32/64/128) and the same
10,000 training images; at the end a member classifies 99.5 to 99.7 % of them
correctly. The paper's figures are from its speech system, on other data. The
ensemble labels 40 views of each image once. The distilled networks see no
labels and train for four times the members' epochs.
`docs/experiments/paper_cifar10.md` records the search for their settings, two
earlier forms that were given up, and the gain kept on 40,000 further images,
which is less than on the test set.

{table}

{gains}
"""


def text(results):
    """The section as Markdown."""
    return _TEXT.format(
        table=rows.table(results, "ensemble"),
        gains=rows.bullets(_gains(results)),
    )


def _gains(results):
    """The share of the gain that is kept, for both means: list of sentences."""
    sentences = ["The paper keeps 86 % of the ensemble's gain in frames."]
    for mean in ("arithmetic", "geometric"):
        name = f"ensemble_{mean}"
        single, ensemble, distilled = (
            rows.values(results.get(of, []), "errors")
            for of in ("member", f"{name}_itself", name)
        )
        kept = rows.NOT_MEASURED
        if len(single) > 1 and ensemble and len(distilled) > 1:
            share, low, high = estimates.gain_kept(
                single, ensemble[0], distilled
            )
            kept = f"{share:.0%} (95 % interval {low:.0%} to {high:.0%})"
        sentences.append(f"Gain kept, {mean} mean: {kept}.")
    return sentences
