"""Subclassed Keras models, as users write them."""

import keras

NUM_CLASSES = 5


@keras.saving.register_keras_serializable(package="tests")
class Heads(keras.Model):
    """Returns a dict of `features` and `logits`, without `training`."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.flatten = keras.layers.Flatten()
        self.dense = keras.layers.Dense(NUM_CLASSES)

    def call(self, images):
        features = self.flatten(images) / 255
        return {"features": features, "logits": self.dense(features)}


class Doubled(keras.Model):
    """A Functional model that computes something else than its graph."""

    def __init__(self, *layers):
        x = inputs = keras.Input((8, 8, 3))
        for layer in layers:
            x = layer(x)
        super().__init__(inputs, keras.layers.Flatten()(x), name="doubled")

    def call(self, inputs, training=None):
        return 2 * super().call(inputs, training=training)
