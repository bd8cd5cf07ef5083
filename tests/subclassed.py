"""A subclassed Keras model with two outputs, as users write them."""

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
