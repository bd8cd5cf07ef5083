"""Reads the records of runs, exports and timings that the report shows."""

import json
import pathlib

from kd_keras import config as config_lib


def read_json(path, *keys):
    """Reads a JSON object from a file.

    Args:
        path: str or path.
        *keys: str, keys that the object must have.

    Raises:
        ValueError: if the file is not JSON or lacks a key.
    """
    try:
        record = json.loads(pathlib.Path(path).read_text())
    except ValueError as error:
        raise ValueError(
            f"a record must be whole JSON. Received: {path} ({error})"
        ) from error
    missing = [key for key in keys if key not in record]
    if missing:
        raise ValueError(
            f"a record must have {', '.join(keys)}. Received: {path} without "
            f"{', '.join(missing)}"
        )
    return record


def configuration(workdir, savedmodels, name):
    """Returns the student's configuration and whether it is on record.

    Args:
        workdir: path of a directory of runs, or None.
        savedmodels: path of the exported models.
        name: str, or empty for the recorded name. Without a record it also
            names the data set.

    Raises:
        ValueError: if `workdir` does not exist, or neither a record nor a name
            was found.
    """
    if workdir and not workdir.is_dir():
        raise ValueError(
            "--workdir must be a directory of runs. Received: "
            f"{workdir}, which does not exist"
        )
    stages = ("student", "baseline") if workdir else ()
    folders = [workdir / stage for stage in stages]
    if name:
        folders.append(savedmodels / f"{name}_student")
    config = config_lib.default_config()
    paths = [folder / "config.json" for folder in folders]
    path = next((path for path in paths if path.exists()), None)
    if path:
        config.update(read_json(path, "config")["config"])
    elif name:
        config.data.name = name
    else:
        raise ValueError(
            "--workdir must be a directory of runs, or --name that of an "
            f"exported student. Received: {workdir or 'neither'}, "
            "without student/config.json"
        )
    if name:
        config.name = name
    return config, path is not None


def exported_files(exports, default):
    """Returns the rows of `exports.json`, each with the `path` of its file.

    The row of the exported model itself is left out.

    Args:
        exports: str or path of a directory of `kd_keras.export`, or None.
        default: path that is used without `exports`; it need not exist.

    Raises:
        ValueError: if `exports` has no `exports.json`, or a file is missing.
    """
    path = pathlib.Path(exports or default) / "exports.json"
    if not path.exists():
        if exports:
            raise ValueError(
                "--exports must be a directory of kd_keras.export. Received: "
                f"{exports}, without exports.json"
            )
        return []
    rows = [
        row | {"path": path.parent / row["file"]}
        for row in read_json(path, "formats")["formats"]
        if row["format"] != "model"
    ]
    for row in rows:
        if not row["path"].exists():
            raise ValueError(
                f"{path} must name files that exist. Received: {row['file']}"
            )
    return rows


def timings(latency, exported):
    """Returns the record of `kd_keras.latency`.

    Args:
        latency: str or path of its JSON file; by default `latency.json`
            beside the exported files, if it exists.
        exported: rows of `exported_files`.

    Returns:
        Dict: `hardware`, a dict or None, and `models`, a dict of a model's
        file name to its row.
    """
    path = latency and pathlib.Path(latency)
    if not path and exported:
        default = exported[0]["path"].parent / "latency.json"
        path = default if default.exists() else None
    if not path:
        return {"hardware": None, "models": {}}
    record = read_json(path, "hardware", "models")
    return {
        "hardware": record["hardware"],
        "models": {
            pathlib.PurePath(row["path"]).name: row for row in record["models"]
        },
    }
