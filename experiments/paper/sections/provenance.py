"""Provenance of the figures: number of results, hours, hardware, commits."""


def text(results):
    """The section as Markdown."""
    # Results that lack the precision were trained in float32.
    lines = [
        {"precision": "float32", **line}
        for lines in results.values()
        for line in lines
    ]

    def listed(key):
        return ", ".join(sorted({str(line[key]) for line in lines})) or "none"

    hours = sum(line["seconds"] for line in lines) / 3600
    return (
        f"\n## Provenance of the figures\n\n{len(lines)} results, "
        f"{hours:.1f} hours of training.\n\n"
        f"- Hardware: {listed('hardware')}.\n"
        f"- Trained in: {listed('precision')}.\n"
        f"- Commits: {listed('commit')}.\n"
    )
