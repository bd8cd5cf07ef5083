"""The pages of the documentation, and the code and commands in them."""

import dataclasses
import pathlib
import re
import shlex

REPOSITORY = pathlib.Path(__file__).parents[1]
PAGES = sorted(
    str(path.relative_to(REPOSITORY))
    for path in (
        REPOSITORY / "README.md",
        *(REPOSITORY / "docs").rglob("*.md"),
    )
)
_FENCE = re.compile(r"^```(.*?)\n(.*?)^```$", re.M | re.S)


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: str, the word after the backticks, `python` for example.
        title: str, the name of the file that it shows; empty for none.
        text: str, the lines of the block.
    """

    language: str
    title: str
    text: str


def read(page):
    return (REPOSITORY / page).read_text()


def blocks(page, language):
    """Returns the blocks of a page in one language, in order."""
    found = []
    for heading, text in _FENCE.findall(read(page)):
        name, _, options = heading.partition(" ")
        title = re.search(r'title="(.*?)"', options)
        found.append(Block(name, title[1] if title else "", text))
    return [block for block in found if block.language == language]


def only_block(page, language, containing=""):
    """Returns the text of the only block in a language that has some text."""
    (text,) = (
        block.text
        for block in blocks(page, language)
        if containing in block.text
    )
    return text


def command_lines(page):
    """Returns the command lines of a page: a list of lists of str."""
    lines = []
    for block in blocks(page, "bash"):
        joined = block.text.replace("\\\n", " ")
        lines += [shlex.split(line) for line in joined.splitlines()]
    return [line for line in lines if line]
