"""Networks of `keras.applications` with their ImageNet weights, by name."""

import contextlib
import functools
import inspect
import json
import pathlib
import socket
import warnings

from kd_keras.teachers import architecture, array_model, kind
from kd_keras.utils import digests, files, keras_internals, locks, suggestions

_PREFIX = "keras_applications:"
# Seconds without an answer after which a server is taken as not reachable.
_PATIENCE_SECONDS = 20
# Height and width of the images that a network of no fixed size was trained on.
_USUAL_SIZE = (224, 224)


def is_name(name):
    return name.startswith(_PREFIX)


def load_teacher(name, options):
    import tensorflow as tf

    from kd_keras.models import image_spec
    from kd_keras.teachers import keras_network
    from kd_keras.teachers.options import TeacherOptions
    from kd_keras.teachers.outputs import Outputs

    outputs = options.outputs if options.has_logits else "logits"
    teacher = keras_network.teacher_of(
        _of_size(name, options.image_size),
        path=name,
        options=TeacherOptions(
            outputs=outputs, features=array_model.feature_names(options)
        ),
    )
    preprocess = inspect.getmodule(_builder(name)).preprocess_input

    def function(images):
        # Keras preprocesses arrays of integers in another way.
        result = teacher.function(preprocess(tf.cast(images, tf.float32)))
        return result if options.has_logits else Outputs(None, result.features)

    return teacher.replaced(
        function=function,
        has_logits=options.has_logits,
        num_classes=teacher.num_classes if options.has_logits else None,
        image_spec=image_spec.UINT8,
    )


def weight_arrays(name):
    return network_weights(name)


def graph(name):
    network = _pretrained(_builder(name))
    weights = [digests.sha256_of_arrays(x) for x in network.get_weights()]
    config = architecture.digest(json.loads(network.to_json()))
    return digests.sha256_of_text(f"{config} {weights}")


def network_weights(name):
    return _pretrained(_builder(name)).get_weights()


def _builder(name):
    """The function of `keras.applications` that builds a network."""
    import keras

    from kd_keras.models import applications

    short = name.removeprefix(_PREFIX)
    if applications.find(short) is None:
        names = [x for x in applications.names() if applications.find(x)]
        raise ValueError(
            f"{_PREFIX}NAME must name a network of keras.applications. "
            f"Received: {short!r}.{suggestions.did_you_mean(short, names)} "
            f"There are {', '.join(names)}"
        )
    return getattr(keras.applications, short)


# Cached: fingerprints and teacher share the network, which never changes.
@functools.lru_cache(maxsize=1)
def _pretrained(build):
    """The network at its own size; returns logits."""
    # Keras downloads into the cache, where another process would read half of
    # a file.
    with locks.waiting(_cache(), part="download"):
        network = _built(build)
    network.trainable = False
    return network


def _built(build):
    try:
        with _patience(), warnings.catch_warnings():
            # The warning that the weights are for images of the usual size.
            warnings.simplefilter("ignore")
            return build(weights="imagenet", classifier_activation=None)
    except Exception as error:
        name = build.__name__
        raise kind.Unusable(
            f"the ImageNet weights of {name} must lie in Keras's cache "
            "($KERAS_HOME/models, by default ~/.keras/models), or there must "
            "be a network to fetch them. Received an error: "
            f"{kind.first_line(error)}; {_damage()}on a machine with a "
            f'network, python -c "import keras; keras.applications.{name}()" '
            "fills the cache, which can be copied"
        ) from error


def _cache():
    """The folder that Keras downloads weights to: path."""
    return pathlib.Path(keras_internals.downloads()) / "models"


def _damage():
    """Names files of the cache that a stopped download has left."""
    found = sorted(_cache().glob("*.h5"))
    damaged = [str(path) for path in found if _is_damaged(path)]
    if not damaged:
        return ""
    return f"remove what is no whole file: {files.named(damaged)}; "


def _is_damaged(path):
    import h5py

    try:
        h5py.File(path).close()
    except (BlockingIOError, PermissionError):
        # Another program writes it, or this user may not read it.
        return False
    except OSError:
        return True
    return False


def _of_size(name, image_size):
    """The network for images of a size, 0 for its own."""
    import keras

    from kd_keras.models import resizing

    network = _pretrained(_builder(name))
    own_size = network.input_shape[1:3]
    if None in own_size:
        own_size = _USUAL_SIZE
    size = resizing.as_size(image_size) if image_size else own_size
    if size == network.input_shape[1:3]:
        return network
    try:
        other = keras.models.clone_model(
            network, input_tensors=keras.Input((*size, 3))
        )
        other.set_weights(network.get_weights())
    except ValueError as error:
        raise kind.Unusable(
            f"image_size must be 0 for {name}, whose own size is {own_size[0]} "
            f"x {own_size[1]}, or one that its layers can take. Received: "
            f"{image_size}, for which {kind.first_line(error)}"
        ) from error
    return other


@contextlib.contextmanager
def _patience():
    """Limits how long a download waits for a server that does not answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


KIND = kind.TeacherKind(
    name="keras_applications",
    title="keras.applications",
    expected="",
    can_load=lambda path: False,
    load=None,
    load_teacher=load_teacher,
    weight_arrays=weight_arrays,
    graph=graph,
    network_weights=network_weights,
    is_name=is_name,
    expected_name=f"{_PREFIX}NAME",
    preprocesses=True,
    is_graph=True,
)
