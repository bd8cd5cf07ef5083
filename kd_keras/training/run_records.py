"""Reads the records of a run, which must be as they were written.

Each is compared with a form, and with the SHA-256 that the list of the files
beside it holds; runs of version 0.1 have no list. The errors are of one line,
with the file's name and what to do.
"""

from kd_keras.utils import manifests, records

_CONFIG_FORM = {
    "stage": str,
    "command": str,
    "config": {"name": str, "precision": str},
    "depends_on": dict,
}
_CONFIG_MESSAGE = {
    "what": "the configuration of a run",
    "remedy": "put the run's own back (the export of a finished run has a "
    "copy), or take another --workdir",
}
_VERSIONS_FORM = {
    "python": str,
    "packages": {str: (str, type(None))},
    "commit": (str, type(None)),
    "processor": str,
    "threads": int,
    "gpus": list,
}
_EPOCH_FORM = {"epoch": int, "seconds": records.NUMBER, str: records.NUMBER}
_REPORT_FORM = {
    "stage": str,
    "parameters": int,
    # Null for a probe teacher: its backbone may be of any kind.
    "macs": (int, type(None)),
    "test_examples": int,
    "test_errors": records.OPTIONAL_NUMBER,
    "test_accuracy": records.OPTIONAL_NUMBER,
    "test_nll": records.OPTIONAL_NUMBER,
    "seconds": records.NUMBER,
    "epochs": int,
}


def read_config(path, *, stage):
    """Reads the `config.json` of a run.

    Args:
        path: `pathlib.Path` of the file.
        stage: str, the stage that it must be of.

    Returns:
        dict.

    Raises:
        ValueError: if the file is damaged, or of another stage.
    """
    record = _read(path, _CONFIG_FORM, **_CONFIG_MESSAGE)
    if record["stage"] != stage:
        reason = f"it is of the stage {record['stage']}"
        raise records.damaged(path, reason, **_CONFIG_MESSAGE)
    return record


def read_exported_config(path, *, remedy):
    """Reads the copy of `config.json` in an export.

    Raises:
        ValueError: if it is damaged; the message ends with the remedy.
    """
    what = "the configuration of an export's run"
    return records.read_json(path, _CONFIG_FORM, what=what, remedy=remedy)


def read_versions(path):
    """Reads `versions.json`: a dict; see `provenance.versions`."""
    return _read(
        path,
        _VERSIONS_FORM,
        what="the record of a run's versions",
        remedy="put the run's own back, or start over with --restart",
    )


def read_metrics(path):
    """Reads `metrics.jsonl`: list of dicts, one for each epoch."""
    return _read(
        path,
        _EPOCH_FORM,
        what="the record of a run's epochs",
        remedy="put the run's own back (the export of a finished run has a "
        "copy), or start over with --restart",
        reader=records.read_json_lines,
    )


def read_report(path):
    """Reads `report.json`: a dict, with the keys of today."""
    report = _read(
        path,
        _REPORT_FORM,
        what="the report of a run",
        remedy="put the run's own back (its export has a copy), or remove it, "
        "and the same command measures the network again",
    )
    if "by_covering" in report:  # its name in version 0.1
        report["by_coverage"] = report.pop("by_covering")
    return report


def _read(path, form, *, what, remedy, reader=records.read_json):
    value = reader(path, form, what=what, remedy=remedy)
    manifests.check(
        path.parent, [path.name].__contains__, what=what, remedy=remedy
    )
    return value
