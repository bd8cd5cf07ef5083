"""Reads JSON records that must be whole and of a known form.

A form is a type or a tuple of types; `[form]`, a list of any length; or a dict
of names to forms, an object that has at least these keys. The key `str` stands
for all other keys: `{str: form}` is an object with any keys. JSON Schema would
take several times as many lines for records this small.
"""

import json
import pathlib

from kd_keras.utils import digests

NUMBER = (int, float)
OPTIONAL_NUMBER = (int, float, type(None))
_SEAL = "sha256"
_NAMES = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "null",
}


def read_json(path, form, *, what, remedy):
    """Reads a JSON file.

    Args:
        path: str or path.
        form: what the file must hold; see the module.
        what: str, the record's name in messages: `a run's report`.
        remedy: str, the end of a message: what to do.

    Returns:
        The value, without its seal.

    Raises:
        ValueError: in one line with the path and the remedy, if the file
            cannot be read, is no JSON, is of another form or differs from
            its seal.
    """
    try:
        value = _checked(_read_text(path), form)
        return _unsealed(value)
    except _Damaged as damage:
        raise damaged(path, damage, what=what, remedy=remedy) from damage


def parse(content, form, path, *, what, remedy):
    """Reads JSON as `read_json`, from bytes that were read.

    For callers to whom a file that cannot be read is not a damaged one.

    Args:
        content: bytes.
        form: as of `read_json`.
        path: path of the file that they were read from.
        what: as of `read_json`.
        remedy: as of `read_json`.

    Raises:
        ValueError: as `read_json`, about the contents alone.
    """
    try:
        return _unsealed(_checked(_decoded(content), form))
    except _Damaged as damage:
        raise damaged(path, damage, what=what, remedy=remedy) from damage


def check(value, form, path, *, what, remedy):
    """Checks the form of a value that was read, as `read_json` does.

    Args:
        value: the value.
        form: as of `read_json`.
        path: path of the file that it was read from.
        what: as of `read_json`.
        remedy: as of `read_json`.

    Raises:
        ValueError: if it is of another form.
    """
    problem = _mismatch(value, form, "")
    if problem:
        raise damaged(path, problem, what=what, remedy=remedy)


def read_json_lines(path, form, *, what, remedy):
    """Reads a file with a JSON value in each line, as `read_json`.

    Returns:
        List of values.
    """
    try:
        lines = _read_text(path).splitlines()
    except _Damaged as damage:
        raise damaged(path, damage, what=what, remedy=remedy) from damage
    values = []
    for number, line in enumerate(lines, 1):
        try:
            values.append(_checked(line, form))
        except _Damaged as damage:
            reason = f"line {number}: {damage}"
            raise damaged(path, reason, what=what, remedy=remedy) from damage
    return values


def damaged(path, reason, *, what, remedy):
    """Returns the ValueError about a damaged file."""
    return ValueError(
        f"{what} must be as it was written. Received: {path} ({reason}); "
        f"{remedy}"
    )


def sealed(record):
    """Returns a dict with the SHA-256 of its entries as its last entry.

    `read_json` compares it, so that a flipped bit does not pass for a value.
    """
    # The entries as they are read again: keys that are numbers become text.
    return {**record, _SEAL: _digest(json.loads(json.dumps(record)))}


class _Damaged(Exception):
    pass


def _read_text(path):
    try:
        return _decoded(pathlib.Path(path).read_bytes())
    except OSError as error:
        raise _Damaged(error.strerror.lower()) from error


def _decoded(content):
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise _Damaged("it is not UTF-8 text") from error


def _checked(text, form):
    try:
        value = json.loads(text)
        problem = _mismatch(value, form, "")
    except (ValueError, RecursionError) as error:
        raise _Damaged(f"it is no JSON: {error}") from error
    if problem:
        raise _Damaged(problem)
    return value


def _unsealed(value):
    if not isinstance(value, dict) or not isinstance(value.get(_SEAL), str):
        return value
    record = {key: entry for key, entry in value.items() if key != _SEAL}
    if _digest(record) != value[_SEAL]:
        raise _Damaged("its entries differ from their SHA-256")
    return record


def _digest(record):
    text = json.dumps(record, sort_keys=True)
    return digests.sha256_of_text(text)


def _mismatch(value, form, name):
    """The place where a value differs from a form, as text, or None."""
    if isinstance(form, list):
        if not isinstance(value, list):
            return _is_another(value, (list,), name)
        named = [(f"{name}[{i}]", form[0], x) for i, x in enumerate(value)]
    elif isinstance(form, dict):
        if not isinstance(value, dict):
            return _is_another(value, (dict,), name)
        if str in form:
            named = {key: x for key, x in form.items() if key is not str}
            form = {**dict.fromkeys(value, form[str]), **named}
        lacking = [key for key in form if key not in value]
        if lacking:
            return f"{name + ': ' if name else ''}{lacking[0]!r} is missing"
        dot = f"{name}." if name else ""
        named = [(f"{dot}{key}", form[key], value[key]) for key in form]
    else:
        types = form if isinstance(form, tuple) else (form,)
        # In Python, True is a whole number.
        fits = isinstance(value, types) and (
            not isinstance(value, bool) or bool in types
        )
        return None if fits else _is_another(value, types, name)
    problems = (_mismatch(x, inner, path) for path, inner, x in named)
    return next(filter(None, problems), None)


def _is_another(value, types, name):
    expected = " or ".join(_NAMES[kind] for kind in types)
    return f"{name or 'it'} is {_NAMES[type(value)]} instead of {expected}"
