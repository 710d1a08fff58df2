"""How calls end that are more than a limit allows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from fireflyzmq import Failure, Overloaded
from fireflyzmq.testing import Network


def outcomes(network: Network, ids: Iterable[Any]) -> list[object]:
    async def gather() -> list[object]:
        ended: list[object] = await asyncio.gather(*ids, return_exceptions=True)
        return ended

    return network.run(gather())


def refusal(network: Network, id: object) -> Failure:
    with pytest.raises(Failure) as caught:
        network.run(id)  # type: ignore[arg-type]
    return caught.value


def hint(network: Network, id: object) -> float:
    """The seconds after which a refused call is said to make sense."""
    failure = refusal(network, id)
    assert isinstance(failure, Overloaded)
    return failure.retry_after
