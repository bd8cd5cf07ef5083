"""Trains small students with a Distiller."""

import keras
import tensorflow as tf

import kd_keras

TEMPERATURE = 3.0


def distil(
    student,
    teacher,
    x,
    y=None,
    sample_weight=None,
    *,
    epochs=1,
    batch_size=16,
    **options,
):
    optimizer = options.pop("optimizer", None) or keras.optimizers.SGD(0.05)
    metrics = options.pop("metrics", None)
    distiller = kd_keras.Distiller(
        student, teacher, **{"temperature": TEMPERATURE, **options}
    )
    distiller.compile(optimizer=optimizer, metrics=metrics)
    history = distiller.fit(
        x,
        y,
        sample_weight=sample_weight,
        epochs=epochs,
        batch_size=batch_size,
        shuffle=False,
        verbose=0,
    )
    return distiller, {
        key: values[-1] for key, values in history.history.items()
    }


def plain_step(student, gradient_of_loss, learning_rate=0.05):
    """One SGD step by hand."""
    with tf.GradientTape() as tape:
        loss = gradient_of_loss()
    variables = student.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables)):
        variable.assign(variable - learning_rate * gradient)


def compiled(student, teacher, **options):
    distiller = kd_keras.Distiller(student, teacher, **options)
    distiller.compile(optimizer=keras.optimizers.SGD(0.05))
    return distiller
