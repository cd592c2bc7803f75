"""Property tests draw the same examples on every machine and in every run, and none has a time limit."""

from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")
