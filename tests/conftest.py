"""Property tests draw the same examples on every machine and in every run, and none has a time limit."""

import signal

from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what it puts into the background; children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
