"""What holds for all tests: how many examples Hypothesis draws, and that programs can be interrupted."""

from __future__ import annotations

import signal

from hypothesis import settings

settings.register_profile("quick", max_examples=10, deadline=None)
"""A tenth of Hypothesis's own number, for an answer at once."""

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell ignores it on behalf of what it starts in the background, and so would the programs that tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
