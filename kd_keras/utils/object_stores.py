"""Reaches an object store, and explains why one cannot be used.

The file systems are fsspec with gcsfs, s3fs and adlfs, which `etils.epath` uses
in programs without TensorFlow. TensorFlow's own file system reads only gs://.
"""

import contextlib
import logging
import threading
import typing

from kd_keras.utils import packages

_log = logging.getLogger(__name__)


class _Kind(typing.NamedTuple):
    package: str
    credentials: str


# The package that reads each scheme, and the source of its credentials.
KINDS = {
    "gs": _Kind("gcsfs", "gcloud auth application-default login"),
    "s3": _Kind("s3fs", "aws configure, or AWS_ACCESS_KEY_ID and its secret"),
    "az": _Kind("adlfs", "AZURE_STORAGE_ACCOUNT_NAME, and az login"),
}
# Parts of the names of errors about credentials.
_DENIED = ("credential", "auth", "permission", "forbidden", "refresh")
# Packages that log the tracebacks of the errors that they raise.
_NOISY = ("gcsfs", "google.auth", "azure", "aiohttp")
# The longest wait for a store.
_CONTACT_SECONDS = 60
# The wait for a store before it is logged.
_QUIET_SECONDS = 3


class RemoteError(ValueError):
    """An object store or a path of one cannot be used."""


def file_system(url):
    """The fsspec file system of a URL."""
    # Imported here, since few paths are remote.
    from etils.epath import backend

    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    kind = KINDS[url.partition("://")[0]]
    try:
        return backend.fsspec_backend.fs(url)
    except ImportError:
        try:
            packages.optional(kind.package, extra="cloud")
        except ValueError as error:
            raise RemoteError(f"{url}: {error}") from error
        raise


def contacted(url):
    """The information about a URL: dict, empty if nothing exists there.

    Logs the wait if the store does not answer within some seconds.

    Raises:
        TimeoutError: if the store does not answer for a while.
    """
    answers = []

    def ask():
        try:
            # Looks for credentials, perhaps by the network.
            system = file_system(url)
            system.invalidate_cache()
            answers.append(system.info(url))
        except FileNotFoundError:
            answers.append({})
        except Exception as error:
            answers.append(error)

    # In a thread, which can be left behind while its library waits.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_QUIET_SECONDS)
    if thread.is_alive():
        most = _CONTACT_SECONDS
        _log.info("%s: waits up to %d s for an answer", url, most)
        thread.join(most - _QUIET_SECONDS)
    if not answers:
        raise TimeoutError(f"no answer for {_CONTACT_SECONDS} seconds")
    if isinstance(answers[0], Exception):
        raise answers[0]
    return answers[0]


@contextlib.contextmanager
def explained(url):
    """Turns the errors of a file system into a line of ours."""
    kind = KINDS[url.partition("://")[0]]
    try:
        yield
    except RemoteError:
        raise
    # Each package has errors of its own, some of no class but Exception.
    except Exception as error:
        lines = str(error).strip().splitlines()
        cause = f"{type(error).__name__}: {lines[0] if lines else 'no reason'}"
        if isinstance(error, FileNotFoundError):
            remedy = "is there such a bucket?"
        elif any(word in cause.lower() for word in _DENIED):
            remedy = f"give this machine credentials: {kind.credentials}"
        else:
            remedy = "the same command resumes once it can"
        raise RemoteError(
            "a remote path must be there, and this machine must be able to "
            f"use it. Received: {url} ({cause}); {remedy}"
        ) from error
