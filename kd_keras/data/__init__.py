"""Datasets, replayable views and batches."""
