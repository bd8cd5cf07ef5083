"""Checks PyTorch's files for code before PyTorch reads them.

`torch.export.load` unpickles some entries of a `.pt2` file as Python objects
and evaluates texts in it as Python. Only files of tensors, of operations and of
simple expressions pass.
"""

import io
import json
import re
import zipfile

from kd_keras.teachers import kind

# Ways to use a network whose file is refused.
_REMEDY = (
    "write a function that builds the network and loads its weights with "
    "torch.load(path, weights_only=True), and give torch:module:function, or "
    "save the network with torch.export.save as .pt2"
)
# Entries of a .pt2 file that are read; compiled code (aotinductor) is not.
_ENTRIES = re.compile(
    r"archive_format|archive_version|byteorder|\.data/[\w.]+|extra/[\w./]+"
    r"|models/model\.json|data/sample_inputs/model\.pt"
    r"|data/(weights|constants)/(model_\w+_config\.json|(weight|tensor)_\d+)"
)
_OPERATORS = re.compile(
    r"torch\.ops\.(aten|prims|quantized|torchvision)\.\w+\.\w+"
    r"|torch\.ops\.higher_order\.\w+|torch\.(_?sym|math)_\w+|math\.\w+"
    r"|_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt"
    r"|le|gt|ge|and_|or_|not_|pos)"
)
_SYMBOL = re.compile(r"Symbol\('\w+'(, \w+=(True|False))*\)")
_EXPRESSION = re.compile(
    r"([A-Z]\w*|[a-z]+\d+|(int_)?oo|\d+(\.\d+)?|[-+*/%(),<>=&|~ ])*"
)
_NAME = re.compile(r"[\w.+\-]*")
# Arguments of operations, such as the equation of einsum.
_TEXT = re.compile(r"[\w.,>() \-]*")
_STRUCTURES = ("builtins.tuple", "builtins.list", "builtins.dict", None)
# The only metadata of a node that is kept, as text: the modules around it.
_MODULES = "nn_module_stack"


def is_script(path):
    """Whether a file is TorchScript, without reading its contents."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = [name.partition("/")[2] for name in archive.namelist()]
    return "constants.pkl" in names and any(
        x.startswith("code/") for x in names
    )


def check_script(path):
    """Raises a ValueError unless a file is TorchScript.

    Args:
        path: path of a `.pt`, `.pth` or `.torchscript` file.
    """
    if is_script(path):
        return
    with open(path, "rb") as file:
        start = file.read(2)
    if zipfile.is_zipfile(path) or start[:1] == b"\x80":
        raise kind.Unusable(
            "a .pt or .pth file must be TorchScript (torch.jit.save). "
            f"Received: {path}, a pickle of weights or of Python objects, "
            f"which is not read; {_REMEDY}"
        )
    raise kind.Damaged(
        f"a .pt or .pth file must be TorchScript (torch.jit.save). Received: "
        f"{path}, which is damaged or of another kind; {_REMEDY}"
    )


def script_entries(path, *folders):
    """Yields names and contents of TorchScript entries, without PyTorch.

    Args:
        path: path of the file.
        *folders: str, starts of the names: `code/`, `data/`.
    """
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            entry = name.partition("/")[2]
            # Entries for debugging hold paths of the sources.
            if entry.startswith(folders) and not entry.endswith(".debug_pkl"):
                yield entry, archive.read(name)


def exported_without_code(path):
    """Reads a `.pt2` file, and checks that nothing in it runs as Python.

    Args:
        path: path of a file that `torch.export.save` wrote.

    Returns:
        `io.BytesIO`, an archive of the entries that were checked.

    Raises:
        ValueError: if it holds pickled objects or other code.
    """
    copy = io.BytesIO()
    with (
        zipfile.ZipFile(path) as archive,
        zipfile.ZipFile(copy, "w") as checked,
    ):
        names = archive.namelist()
        if len({name.lower() for name in names}) != len(names):
            raise _with_code(path, "entries of the same name")
        for name in names:
            folder, _, entry = name.partition("/")
            if not _ENTRIES.fullmatch(entry):
                raise _with_code(path, f"the entry {name}")
            contents = archive.read(name)
            if entry == "models/model.json":
                contents = _graph_without_code(contents, path)
            elif entry.endswith("_config.json"):
                _check_payloads(json.loads(contents)["config"], path)
            elif entry.endswith(".pt") and not _is_plain(contents):
                raise _with_code(path, f"pickled objects in {entry}")
            checked.writestr(f"model/{entry}", contents)
    copy.seek(0)
    return copy


def _with_code(path, reason):
    return kind.Unusable(
        "a .pt2 file must hold only tensors and PyTorch's own operations, "
        f"since nothing else in it is run. Received: {path} with {reason}; "
        "give torch:module:function for a network that you trust"
    )


def _check_payloads(payloads, path):
    """Raises a ValueError if a weight or a constant is a pickle."""
    for name, payload in payloads.items():
        if payload["use_pickle"]:
            raise _with_code(path, f"the pickled object {name}")


def _graph_without_code(contents, path):
    """The JSON of a graph, without the code of checks of its inputs."""
    graph = json.loads(contents)
    graph["guards_code"] = []
    for reason in _code_in(graph):
        raise _with_code(path, reason)
    return json.dumps(graph)


def _is_plain(contents):
    """Whether PyTorch reads tensors without unpickling other objects."""
    import torch

    try:
        torch.load(io.BytesIO(contents), weights_only=True)
    except Exception:
        return False
    return True


def _code_in(value, key=""):
    """Yields texts of a graph that may be evaluated; drops most metadata."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if not _NAME.fullmatch(name):
                yield f"the name {name!r}"
            if name == "metadata":
                modules = str(inner.get(_MODULES, ""))
                value[name] = {_MODULES: modules} if modules else {}
            else:
                yield from _code_in(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _code_in(inner, key)
    elif isinstance(value, str) and not _is_harmless(value, key):
        yield f"the {key} {value!r}"


def _is_harmless(text, key):
    if key in ("target", "as_operator"):
        return bool(_OPERATORS.fullmatch(text))
    if key == "expr_str":
        return bool(_EXPRESSION.fullmatch(_SYMBOL.sub("", text)))
    if key in ("in_spec", "out_spec"):
        return all(x in _STRUCTURES for x in _structures(json.loads(text)[1]))
    rule = _TEXT if key in ("as_string", "as_strings") else _NAME
    return bool(rule.fullmatch(text))


def _structures(spec):
    """The types in a structure of inputs or outputs, as PyTorch names them."""
    yield spec["type"]
    if "__enum__" in str(spec["context"]):
        yield "an enumeration"
    for inner in spec["children_spec"]:
        yield from _structures(inner)
