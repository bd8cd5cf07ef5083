"""The results of `benchmarks.cluster` as Markdown, with their ratios."""

HALF = "one process on half of the cores"
ONE = "one process on all cores"
TWO = "two processes"
RAY = "two processes of Ray"

# For labelling: contestants, their peers, and the least ratio of their rates.
LABEL_MARKS = (
    (TWO, HALF, ">= 1.8"),
    (TWO, ONE, "-"),
    (RAY, TWO, ">= 0.8 from a minute on"),
)
TRAIN_MARKS = ((TWO, HALF, "-"), (TWO, ONE, "-"))


def markdown(results):
    """The results as `cluster.md`."""
    machine = results["machine"]
    versions = ", ".join(
        f"{name} {machine[name]}"
        for name in ("tensorflow", "keras", "ray", "numpy")
    )
    label, train = results["label"], results["train"]
    return "\n".join(
        [
            "# Several processes, side by side",
            "",
            "Made by `python -m benchmarks.cluster`: "
            f"{machine['processor']}, {machine['cores']} cores, Python "
            f"{machine['python']}, {versions}. All processes run on this "
            f"machine. Medians of rounds in turns: {results['rounds']}.",
            "",
            "Labelling, from the command to its end:",
            "",
            *_table(
                ["", "seconds", "images/s"],
                [
                    [name, f"{x['seconds']:.1f}", f"{x['rate']:,.0f}"]
                    for name, x in label.items()
                ],
            ),
            "",
            *_ratios(label, LABEL_MARKS),
            "",
            "Training:",
            "",
            *_table(
                ["", "steps/s", "seconds to the first step", "seconds in all"],
                [
                    [
                        name,
                        f"{x['rate']:.2f}",
                        f"{x['start_seconds']:.1f}",
                        f"{x['seconds']:.1f}",
                    ]
                    for name, x in train.items()
                ],
            ),
            "",
            *_ratios(train, TRAIN_MARKS),
            "",
            "A process is killed:",
            "",
            *_table(
                ["", "seconds without", "with", "lost", "noticed after"],
                [_killed_row(*item) for item in results["killed"].items()],
            ),
            "",
        ]
    )


def _ratios(results, marks):
    rows = [
        [
            what,
            against,
            mark,
            f"{results[what]['rate'] / results[against]['rate']:.2f}",
        ]
        for what, against, mark in marks
    ]
    return _table(["what", "against", "mark", "ratio"], rows)


def _killed_row(name, figures):
    usual, seconds = figures["usual_seconds"], figures["seconds"]
    noticed = figures.get("noticed_seconds")
    return [
        name,
        f"{usual:.1f}",
        f"{seconds:.1f}",
        f"{seconds - usual:.1f}",
        "-" if noticed is None else f"{noticed:.1f} s",
    ]


def _table(titles, rows):
    lines = [titles, ["---"] * len(titles), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
