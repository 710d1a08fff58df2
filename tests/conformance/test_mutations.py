"""No mutant of a message makes the exchange or the library raise, hang or grow.

The seed is fixed, so that what fails fails again; a run takes some seconds. Another seed: FIREFLYZMQ_SEED.
"""

from __future__ import annotations

import os

from fireflyzmq.testing import PythonProcess

RUN_SECONDS = 200.0
"""Seconds that a run may take, however busy the machine is; it takes five."""


def test_no_mutant_makes_either_side_raise_hang_or_grow() -> None:
    seed = os.environ.get("FIREFLYZMQ_SEED", "1")
    with PythonProcess(["-m", "tests.conformance.mutations", seed]) as process:
        status = process.wait(RUN_SECONDS)
    assert status == 0, "\n".join(process.lines)
