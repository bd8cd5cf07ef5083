"""Datasets, their splits, augmented views and batches."""
