"""What holds for all tests."""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell ignores it on behalf of what it starts in the background, and so would the programs that tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
