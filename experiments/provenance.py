"""Describes where the results of experiments come from."""


def markdown(lines):
    """Hours, hardware, precision and commits of results, as Markdown.

    Args:
        lines: list of dicts, the results.
    """

    def listed(key):
        return ", ".join(sorted({str(line[key]) for line in lines})) or "none"

    hours = sum(line["seconds"] for line in lines) / 3600
    return (
        f"{len(lines)} results, {hours:.1f} hours of training. Seconds are "
        "those of the training alone, on a machine with other work beside "
        "it.\n\n"
        f"- Hardware: {listed('hardware')}.\n"
        f"- Trained in: {listed('precision')}.\n"
        f"- Commits: {listed('commit')}."
    )
