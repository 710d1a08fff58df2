"""How often services are asked for their statistics, by a clock that jumps."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Awaitable, Callable
from typing import Any

from fireflyzmq.errors import RequestTimeout
from fireflyzmq.gateways.console.asking import OwnCalls, Shared
from fireflyzmq.gateways.console.sampler import AT_ONCE, SWEPT_A_TICK, WANTED_A_TICK, Sample, Sampler
from fireflyzmq.gateways.console.summaries import summary, totals
from fireflyzmq.gateways.console.tail import FailureTail
from fireflyzmq.testing.network import VirtualLoop

ANSWER = {"served": 1, "failed": 0, "refused": 0, "running": 0, "durations": [0] * 22, "failures": {}}


class Services:
    """Services that take a while to answer: how often each was asked, and how many at once."""

    def __init__(self, seconds: float = 0.01) -> None:
        self.seconds = seconds
        self.asked: collections.Counter[str] = collections.Counter()
        self.answer: Any = ANSWER
        self.at_once = 0
        self.most_at_once = 0

    async def ask(self, address: str) -> Any:
        self.asked[address] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.seconds)
        self.at_once -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    loop = VirtualLoop(lambda: False)
    try:
        loop.run_until_complete(scenario())
    finally:
        loop.close()


def addresses(number: int) -> list[str]:
    return [f"{each:04}" for each in range(number)]


def test_what_several_pages_show_is_asked_once_a_second() -> None:
    async def scenario() -> None:
        services = Services()
        sampler = Sampler(services.ask, OwnCalls())
        sampler.exist(addresses(50))
        for _ in range(10):
            for _page in range(5):
                sampler.want(addresses(20))
            await asyncio.sleep(1)
        assert set(services.asked) == set(addresses(20))
        assert all(9 <= count <= 11 for count in services.asked.values())
        sampler.close()

    run(scenario)


def test_only_so_many_are_asked_at_once_and_in_a_second() -> None:
    async def scenario() -> None:
        services = Services(0.1)
        sampler = Sampler(services.ask, OwnCalls())
        sampler.exist(addresses(1000))
        sampler.want(addresses(1000))
        await asyncio.sleep(0.95)
        assert sum(services.asked.values()) == WANTED_A_TICK and services.most_at_once == AT_ONCE
        await asyncio.sleep(1)
        assert len(services.asked) == 2 * WANTED_A_TICK  # those that have waited longest
        sampler.close()

    run(scenario)


def test_a_sweep_asks_all_in_turn_and_ends_when_nobody_looks() -> None:
    async def scenario() -> None:
        services = Services()
        sampler = Sampler(services.ask, OwnCalls())
        sampler.exist(addresses(5 * SWEPT_A_TICK))
        for second in range(5):
            sampler.sweep()
            await asyncio.sleep(0.9)
            assert sum(services.asked.values()) == (second + 1) * SWEPT_A_TICK
            await asyncio.sleep(0.1)
        assert set(services.asked.values()) == {1}
        await asyncio.sleep(10)
        asked = sum(services.asked.values())
        await asyncio.sleep(10)
        assert sum(services.asked.values()) == asked <= 9 * SWEPT_A_TICK

    run(scenario)


def test_who_does_not_answer_is_asked_less_often_and_keeps_what_was_known() -> None:
    async def scenario() -> None:
        services = Services()
        sampler = Sampler(services.ask, OwnCalls())
        sampler.exist(["a"])
        for second in range(33):
            services.answer = ANSWER if second < 2 else RequestTimeout("too late")
            sampler.want(["a"])
            await asyncio.sleep(1)
        assert services.asked["a"] <= 7
        assert (sampler.samples["a"].problem, sampler.samples["a"].served) == ("RequestTimeout", 1)
        sampler.close()

    run(scenario)


NONSENSE: list[Any] = [
    *(None, 7, []),
    *({"served": "x"}, {"durations": 3}, {"failures": 1}, {"served": {}, "durations": "ab"}),
]


def test_answers_that_make_no_sense_are_a_problem_of_their_service_alone() -> None:
    async def scenario() -> None:
        for answer in NONSENSE:
            services = Services()
            sampler = Sampler(services.ask, OwnCalls())
            services.answer = answer
            sampler.exist(["a"])
            sampler.want(["a"])
            await sampler.settle(["a"], 1)
            assert answer == [] or sampler.samples["a"].problem == "no statistics", answer
            sampler.close()

    run(scenario)


def test_rates_are_those_since_the_last_question_without_the_consoles_own() -> None:
    async def scenario() -> None:
        services = Services(0.0)
        own = OwnCalls()
        sampler = Sampler(services.ask, own)
        sampler.exist(["a"])
        for second in range(4):
            services.answer = {**ANSWER, "served": 11 * second + 1, "failed": 2 * second}
            own.add("a")
            sampler.want(["a"])
            await asyncio.sleep(1)
        sample = sampler.samples["a"]
        assert sample.calls_per_second is not None and abs(sample.calls_per_second - 10) < 0.01
        assert sample.failures_per_second is not None and abs(sample.failures_per_second - 2) < 0.01
        assert summary([sample])["served"] == 30
        sampler.exist([])
        assert not sampler.samples and not own.number("a")

    run(scenario)


def test_totals_are_of_those_that_have_answered() -> None:
    durations = [0] * 22
    samples = {
        "a": Sample(0.0, durations=durations, calls_per_second=3.0, running=2),
        "b": Sample(0.0, problem="gone"),
    }
    told = totals(samples, {"a": "x", "b": "x", "c": "y"})
    assert (told["instances"], told["sampled"], told["calls_per_second"], told["running"]) == (3, 1, 3.0, 2)
    assert told["busiest"] == [{"name": "x", "calls_per_second": 3.0}]
    assert totals({}, {})["calls_per_second"] is None


def test_a_shared_value_is_fetched_once_for_all_and_less_often_when_that_takes_long() -> None:
    async def scenario() -> None:
        fetched: list[float] = []
        loop = asyncio.get_running_loop()

        async def fetch() -> int:
            fetched.append(loop.time())
            await asyncio.sleep(0.5)
            return len(fetched)

        shared = Shared(fetch, 0.9)
        assert await asyncio.gather(*(shared.get() for _ in range(5))) == [1] * 5
        await asyncio.sleep(5)
        assert await shared.get() == 1
        await asyncio.sleep(6)
        assert await shared.get() == 2

    run(scenario)


def test_a_slow_page_loses_the_oldest_failures_and_nobody_elses() -> None:
    async def scenario() -> None:
        given: list[dict[str, Any]] = []

        async def ask(address: str) -> list[dict[str, Any]]:
            return given

        tail = FailureTail(ask, lambda address: "service")
        _, waiting = tail.watch()
        for number in range(1, 2001):
            given[:] = [{"number": number, "age": 0.0, "description": f"{number}"}]
            tail.heard("a", Sample(0.0, failed=number))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        numbers = [each["number"] for each in waiting.values()]
        assert numbers == list(range(1801, 2001))
        given[:] = [{"nonsense": 1}]
        tail.heard("b", Sample(0.0, failed=1))
        await asyncio.sleep(1)
        assert [each["number"] for each in waiting.values()] == numbers

    run(scenario)


def test_equal_failures_are_counted_and_push_no_others_out() -> None:
    async def scenario() -> None:
        given: list[dict[str, Any]] = []

        async def ask(address: str) -> list[dict[str, Any]]:
            return given

        tail = FailureTail(ask, lambda address: "service")
        _, waiting = tail.watch()
        for number in range(1, 1002):
            rare = number == 1
            given[:] = [{"number": number, "age": float(1001 - number), "description": "rare" if rare else "often"}]
            tail.heard("a", Sample(0.0, failed=number))
            for _ in range(3):
                await asyncio.sleep(0)
        _, later = tail.watch()
        for read in (waiting, later):
            assert [(each["description"], each["count"]) for each in read.values()] == [("rare", 1), ("often", 1000)]
            (_, often) = read.values()
            assert often["number"] == 1001 and often["at"] - often["first"] > 900
        given[:] = [{"number": 1, "age": 0.0, "description": "often", "sender": "other"}]
        tail.heard("b", Sample(0.0, failed=1))
        await asyncio.sleep(1)
        (_, often) = later.values()
        assert (often["count"], often["address"], often["sender"]) == (1001, "b", "other")

    run(scenario)
