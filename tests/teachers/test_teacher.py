"""Everything that can be a teacher of a `Distiller`."""

import nets
import pytest
import tensorflow as tf

import kd_keras
from kd_keras.deployment import saved_model as exports


@pytest.mark.slow
@pytest.mark.parametrize(
    "given", ["path", "loaded", "teacher", "keras path", "keras", "function"]
)
def test_a_distiller_takes_a_teacher_in_any_form(tmp_path, given):
    network = nets.make_network()
    path = tmp_path / "teacher"
    exports.export_saved_model(network, path)
    network.save(tmp_path / "teacher.keras")
    teacher = {
        "path": lambda: str(path),
        "loaded": lambda: tf.saved_model.load(str(path)),
        "teacher": lambda: kd_keras.load_teacher(path),
        "keras path": lambda: tmp_path / "teacher.keras",
        "keras": lambda: network,
        "function": lambda: lambda images: network(images, training=False),
    }[given]()
    distiller = kd_keras.Distiller(nets.copy_of(network), teacher)
    distiller.compile()
    logs = distiller.evaluate(nets.make_images(8), return_dict=True, verbose=0)
    assert logs["agreement"] == 1
    assert logs["loss"] == pytest.approx(0, abs=1e-4)


def test_a_teacher_of_another_type_is_refused():
    with pytest.raises(ValueError, match="Received: 3"):
        kd_keras.Distiller(nets.make_network(), 3)
