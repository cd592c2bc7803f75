"""Flags for training, made with a model."""
