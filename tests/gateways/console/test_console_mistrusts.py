"""What services say of themselves is not believed: one that says nonsense spoils no view of the others."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fireflyzmq.gateways.console.asking import OwnCalls
from fireflyzmq.gateways.console.sampler import Sample, Sampler
from fireflyzmq.gateways.console.tail import FailureTail
from fireflyzmq.testing.network import VirtualLoop
from tests.gateways.console.looking import StartMarket, Web
from tests.waiting import wait_until

INFINITE = float("inf")
FAILURE = {
    "number": 1,
    "age": 0.5,
    "method": "f",
    "kind": "K",
    "code": 900,
    "description": "d",
    "origin": "o",
    "details": "{'a': 1}",
    "sender": "s",
}


def watched(answer: Any) -> list[dict[str, Any]]:
    """What a page that watches failures is told when a service answers so."""

    async def scenario() -> list[dict[str, Any]]:
        async def ask(address: str) -> Any:
            return answer

        tail = FailureTail(ask, lambda address: "service")
        _, waiting = tail.watch()
        tail.heard("a", Sample(0.0, failed=1))
        await asyncio.sleep(1)
        return list(waiting.values())

    loop = VirtualLoop(lambda: False)
    try:
        return loop.run_until_complete(scenario())
    finally:
        loop.close()


def sampled(answer: Any) -> Sample:
    """What is known of a service that answers so."""

    async def scenario() -> Sample:
        async def ask(address: str) -> Any:
            return answer

        sampler = Sampler(ask, OwnCalls())
        sampler.exist(["a"])
        sampler.want(["a"])
        await sampler.settle(["a"], 1)
        sampler.close()
        return sampler.samples["a"]

    loop = VirtualLoop(lambda: False)
    try:
        return loop.run_until_complete(scenario())
    finally:
        loop.close()


def test_a_failure_is_told_with_its_fields_and_no_others() -> None:
    (told,) = watched([{**FAILURE, "more": b"x" * 1000}])
    assert told.pop("at") == told.pop("first") > 0
    assert (len(told.pop("id")), told.pop("count")) == (24, 1)
    expected = {name: value for name, value in FAILURE.items() if name != "age"}
    assert told == {"service": "service", "address": "a", "trace": None, **expected}


@pytest.mark.parametrize("age", [INFINITE, -INFINITE, float("nan"), 10**400, "1", None])
def test_a_failure_at_no_time_is_none(age: Any) -> None:
    assert watched([{**FAILURE, "age": age}]) == []


@pytest.mark.parametrize("answer", [None, 1, "ab", [1], [{1: 2}], [{**FAILURE, "number": INFINITE}]])
def test_failures_that_make_no_sense_are_none(answer: Any) -> None:
    assert watched(answer) == []


def test_what_is_kept_of_failures_is_small_whatever_comes() -> None:
    long = dict.fromkeys(("kind", "description", "details", "origin", "sender", "trace"), "\ud800" + "ü" * 1_000_000)
    told = watched(
        [{**FAILURE, **long, "number": number, "method": f"{number}", "code": 10**400} for number in range(1, 1001)]
    )
    assert [told[0]["number"], told[-1]["number"]] == [951, 1000]
    assert all(len(json.dumps(each, ensure_ascii=False, allow_nan=False).encode()) < 10_000 for each in told)


@pytest.mark.parametrize(
    "answer",
    [
        {"served": INFINITE},
        {"served": float("nan")},
        {"failed": 10**400},
        {"running": -1},
        {"durations": [INFINITE] * 22},
        {"failures": {1: 2}},
        {"failures": {"K": INFINITE}},
    ],
)
def test_counters_that_count_nothing_are_a_problem_of_their_service(answer: dict[str, Any]) -> None:
    assert sampled(answer).problem == "no statistics"


def test_kinds_of_failures_without_end_are_not_kept() -> None:
    sample = sampled({"failures": {f"{number}" * 1000: 1 for number in range(1000)}})
    assert len(sample.failures) <= 50 and max(map(len, sample.failures)) <= 200


@pytest.mark.parametrize("said", ["stats", "sessions"])
def test_a_netport_that_is_none_spoils_no_other(web: Web, start_market: StartMarket, said: str) -> None:
    start_market()
    start_market("liar")
    wait_until(lambda: "liar" in web.get("/api/state").get("services", ()))
    web.post("/api/call", {"service": "liar", "method": "pretend", "args": [said]})

    def shows_the_liar(state: Any) -> bool:
        return any(each["name"] == "liar" for each in state.get("netports", ()))

    state = web.get_when("/api/state?with=netports", shows_the_liar)
    found = {each["name"]: each for each in state["netports"]}
    liar, door = found["liar"], found["market-door"]
    assert liar["problem"] == "no netport" and door["stats"]["sessions"] == 0


def test_failures_of_one_instance_that_make_no_sense_are_its_own_problem(web: Web, start_market: StartMarket) -> None:
    start_market()
    body = {"service": "market", "method": "pretend", "args": ["failures"]}
    wait_until(lambda: web.post("/api/call", body)[0] == 200)
    wait_until(lambda: web.post("/api/call", {**body, "method": "fail", "args": ["so"]})[0] == 500)
    path = "/api/service?name=market"

    def asked() -> bool:
        status, _, body = web.ask("GET", path)
        return status == 502 or b"no failures" in body

    wait_until(asked)
    (instance,) = web.get(path)["instances"]
    assert (instance["failures"], instance["statistics"]["problem"]) == ([], "no failures")


@pytest.mark.parametrize(
    ("said", "methods", "problem"),
    [("nothing", [], None), ("description", ["echo"], "what the service says of 3 of its methods makes no sense")],
)
def test_a_service_that_says_nothing_or_nonsense_of_itself_is_shown(
    web: Web, start_market: StartMarket, said: str, methods: list[str], problem: str | None
) -> None:
    start_market()
    body = {"service": "market", "method": "pretend", "args": [said]}
    wait_until(lambda: web.post("/api/call", body)[0] == 200)
    shown = web.get("/api/service?name=market")
    assert [each["name"] for each in shown["description"]["methods"]] == methods
    assert shown["description"].get("problem") == problem
    assert len(shown["instances"]) == 1
