"""Tables as text: aligned columns for a terminal, or Markdown."""

import html


def aligned(rows, *, left=1, gap=2):
    """Text in columns that are as wide as their longest cell.

    Args:
        rows: list of lists of str, the header first; shorter rows leave
            their last cells empty.
        left: int, columns from the first that are aligned to the left; the
            others are aligned to the right.
        gap: int, spaces between columns.

    Returns:
        str, a line a row, without trailing spaces.
    """
    count = max(map(len, rows))
    rows = [[*row, *[""] * (count - len(row))] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows)]

    def line(row):
        cells = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        ]
        return (" " * gap).join(cells).rstrip()

    return "\n".join(map(line, rows))


def markdown(rows):
    """A Markdown table: list of lists of str, the header first."""
    header, *body = rows
    lines = [header, ["---"] * len(header), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown_text(text):
    """Escapes text from outside, such as a folder's name, for Markdown.

    HTML, links, images and code in it are shown and not interpreted.
    """
    escaped = html.escape(str(text), quote=False)
    for character in "`[]":
        escaped = escaped.replace(character, f"\\{character}")
    return escaped


def counted(count, noun):
    """A count with its noun: `1 epoch`, `2 epochs`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
