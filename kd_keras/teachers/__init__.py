"""Models from files: teachers for training, classifiers for measuring.

A `Teacher` maps TensorFlow tensors to logits and can be part of a training
step. A `Classifier` is a model file of any kind, run on arrays in the runtime
of that kind. `loading` has the table of kinds.
"""
