"""Helpers without TensorFlow that every room may use."""
