"""Plans the training of more epochs than a run was first planned for.

Each part of an extended training starts from the weights and the optimizer's
state of the part before, and has its own schedule of the learning rate, which
starts at the peak (a warm restart). With a constant schedule an extended run
has the bits of a longer one.

Reference:
    - [Loshchilov and Hutter, 2017](https://arxiv.org/abs/1608.03983)
"""


def ends(recorded, *, section, epochs, path):
    """The epochs at which the parts of a training end.

    Args:
        recorded: dict, the run's `config.json`; None without a run.
        section: str, the section of the configuration with the epochs.
        epochs: int, the end of the last part.
        path: path of the run, for errors.

    Returns:
        Tuple of ints, in order; the last one is `epochs`.

    Raises:
        ValueError: if there is no run, or it is longer already.
    """
    if recorded is None:
        raise ValueError(
            "--extend trains a run for more epochs. Received: "
            f"{path}, where there is none; leave --extend out to begin one"
        )
    name, was = f"{section}.epochs", recorded["depends_on"]
    before = (*was.get(f"{section}.extended_from", ()), was[name])
    if epochs < before[-1]:
        raise ValueError(
            f"--extend trains a run for more epochs: {name} must be at least "
            f"{before[-1]}. Received: {epochs}"
        )
    return before if epochs == before[-1] else (*before, epochs)


def planned(depends_on, *, section, ends):
    """Adds the parts of a training to the settings that a run depends on.

    Args:
        depends_on: dict, as `RunDir.check` takes it.
        section: str, the section of the configuration with the epochs.
        ends: tuple of ints, as the function `ends` returns it.

    Returns:
        dict, with `<section>.extended_from` if there are several parts.
    """
    planned = {**depends_on, f"{section}.epochs": ends[-1]}
    planned.pop(f"{section}.extended_from", None)
    if len(ends) > 1:
        planned[f"{section}.extended_from"] = list(ends[:-1])
    return planned


def earlier(depends_on):
    """A run's `depends_on` before each of its extensions: list of dicts."""
    return [
        planned(depends_on, section=name.rpartition(".")[0], ends=ends[:count])
        for name, ends in depends_on.items()
        if name.endswith(".extended_from")
        for count in range(1, len(ends) + 1)
    ]


def hint(differing):
    """The end of an error about runs that differ, if they may be extended.

    Args:
        differing: list of str, as `config.differing` returns it.
    """
    names = [text.partition(" ")[0].rpartition(".")[2] for text in differing]
    if any(".extended_from (was [" in text for text in differing):
        return "; this run was extended: repeat the command with --extend"
    if set(names) <= {"epochs", "extended_from"}:
        return "; more epochs need --extend"
    return ""


def entries(ends):
    """The entries of a report about its epochs: a dict."""
    if len(ends) == 1:
        return {"epochs": ends[-1]}
    return {"epochs": ends[-1], "extended_from": list(ends[:-1])}


def text(report):
    """The epochs of a report as text: `10, extended to 20`."""
    ends = [*report.get("extended_from", []), report["epochs"]]
    return ", extended to ".join(map(str, ends))
