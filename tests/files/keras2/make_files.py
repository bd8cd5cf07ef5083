"""Writes the files of Keras 2 in this directory; needs the package tf_keras.

Run by `python tests/files/keras2/make_files.py`.
"""

import pathlib

import numpy as np
import tf_keras as keras

FOLDER = pathlib.Path(__file__).parent


def main():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(2, 3, activation="relu", name="maps")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(3)(keras.layers.Dropout(0.2)(x))
    model = keras.Model(inputs, outputs)
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1))
    images = images.astype("float32")
    model.compile("sgd", "mse")
    model.fit(images / 255, np.ones((4, 3)), verbose=0)
    model.save(FOLDER / "network.h5", include_optimizer=False)
    maps = keras.Model(inputs, model.get_layer("maps").output)
    np.savez(
        FOLDER / "expected.npz",
        images=images,
        logits=model.predict(images, verbose=0),
        maps=maps.predict(images, verbose=0),
    )
    # Keras 3 refuses an argument that Keras 2 writes for this layer.
    x = keras.layers.DepthwiseConv2D(3)(inputs)
    x = keras.layers.Flatten()(x)
    depthwise = keras.Model(inputs, keras.layers.Dense(3)(x))
    depthwise.save(FOLDER / "depthwise.h5", include_optimizer=False)


if __name__ == "__main__":
    main()
