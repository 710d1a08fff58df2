"""What runs callbacks in order: each key's one after the other, no more waiting than is good, none after the end."""

from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireflyzmq import Exchange
from fireflyzmq.runtime.timers import MOST_WAITING, InOrder
from fireflyzmq.testing import Network


@given(
    events=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.floats(0, 2)), max_size=40),
    raises=st.sets(st.integers(0, 40)),
)
@settings(max_examples=60, deadline=None)
def test_each_key_goes_in_order_and_waits_for_no_other(events: list[tuple[str, str, float]], raises: set[int]) -> None:
    with Network() as network:
        order, running, done = InOrder(network.loop), set(), []
        logging.disable(logging.CRITICAL)

        async def work(number: int, key: str, seconds: float) -> None:
            assert key not in running
            running.add(key)
            await asyncio.sleep(seconds)
            running.discard(key)
            done.append((key, number))
            if number in raises:
                raise ValueError("this one")

        async def feed() -> None:
            for number, (key, matter, seconds) in enumerate(events):
                order.run(key, matter, lambda n=number, k=key, s=seconds: work(n, k, s), "work")  # type: ignore[misc]
                await asyncio.sleep(seconds / 3)

        network.run(feed())
        network.advance(200)
        logging.disable(logging.NOTSET)
        for key in "abc":
            assert [n for k, n in done if k == key] == [n for n, (k, _, _) in enumerate(events) if k == key]
        assert not order._busy


@pytest.mark.parametrize("matters", [1, 3])
def test_what_waits_behind_a_coroutine_is_bounded_and_stays_true(network: Network, matters: int) -> None:
    order = InOrder(network.loop)
    state: dict[int, str] = {}
    true: dict[int, str] = {}
    held = network.loop.create_future()

    async def hold() -> None:
        await held

    def tell(matter: int, status: str) -> None:
        assert state.get(matter, "gone") != status  # a coming after a going, and so on
        state[matter] = status

    async def feed() -> None:
        order.run("key", 0, hold, "hold")
        for number in range(10 * MOST_WAITING):
            matter = number % matters
            status = "here" if true.get(matter, "gone") == "gone" else "gone"
            true[matter] = status
            order.run("key", matter, lambda m=matter, s=status: tell(m, s), "tell")  # type: ignore[misc]
            assert len(order._busy["key"]) <= MOST_WAITING

    network.run(feed())
    held.set_result(None)
    network.settle()
    assert state == true


def test_closing_drops_what_has_not_begun(network: Network) -> None:
    order, done = InOrder(network.loop), []

    async def feed() -> None:
        order.run("key", None, lambda: asyncio.sleep(5), "sleep")
        order.run("key", None, lambda: done.append(1), "append")
        order.close()

    network.run(feed())
    network.advance(20)
    assert done == []
    assert not order._busy


def test_an_exchange_that_ends_tells_nothing_more(network: Network) -> None:
    told: list[str] = []

    class Ours(Exchange):
        async def connectionChanged(self, state: str, reason: str) -> None:
            told.append(state)
            await asyncio.sleep(5)

    exchange = network.make(Ours)
    exchange.connection.join(network._embedded.join)
    network.settle()
    exchange.close()
    network.advance(20)
    assert told == ["connected"]
