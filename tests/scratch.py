"""Files of somebody else in a scratch directory, and what became of them."""

import os

KINDS = ("file", "folder", "link_to_file", "link_to_folder")


def occupy(target, kind):
    """Puts somebody's file, folder or link where a command would write."""
    target.parent.mkdir(parents=True, exist_ok=True)
    place = target
    if kind.startswith("link"):
        place = target.parent / "somewhere_else"
        target.symlink_to(place)
    if kind.endswith("folder"):
        place.mkdir()
        (place / "thesis.txt").write_text("years of work")
    else:
        place.write_text("years of work")


def tree(path):
    """Every path below a directory, with contents and targets of links."""
    return {
        str(item.relative_to(path)): os.readlink(item)
        if item.is_symlink()
        else item.read_bytes()
        if item.is_file()
        else None
        for item in sorted(path.rglob("*"))
    }
