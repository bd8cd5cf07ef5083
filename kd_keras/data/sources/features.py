"""Finds the images and the labels among the features of a published set."""


def choose(field, chosen, *, obvious, possible, what, kind):
    """Chooses a feature, or a column, of a set.

    Args:
        field: str, the field that names it: `data.label_column`.
        chosen: str, the value of that field, or empty.
        obvious: lists of names; the first list of one name decides.
        possible: all names that may be chosen.
        what: str, the set and all of its features, for messages.
        kind: str, what the feature must be: `an Image`.

    Returns:
        str.

    Raises:
        ValueError: if the chosen feature is of another kind, or none is
            chosen and there are none or several.
    """
    if chosen and chosen not in possible:
        raise ValueError(
            f"{field} must name {kind}. Received: {chosen!r}, {what}"
        )
    if chosen:
        return chosen
    for names in obvious:
        if len(names) == 1:
            return names[0]
    several = sorted({name for names in obvious for name in names})
    if several:
        raise ValueError(
            f"{field} must say which of {', '.join(several)} to use. "
            f"Received: {what}"
        )
    raise ValueError(
        f"a dataset must have a feature that is {kind}. Received: {what}"
    )
