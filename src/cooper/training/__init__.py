"""Stages of training on existing trainers, from the autoencoder to reinforcement, one by one or as phases of one recipe."""
