"""Traces that a teacher writes: turns in the grammar of the model, maps drawn between them, and what is wrong with each."""
