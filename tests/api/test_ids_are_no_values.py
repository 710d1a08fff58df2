"""A ResponseId is not its result: whoever takes it for that, or forgets it, hears of it."""

from __future__ import annotations

import asyncio
import copy
import functools
import gc
import json
import linecache
import math
import operator
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from fireflyzmq import RequestEncoding, Service
from fireflyzmq.api.cores.service import core_of
from tests.api.places import Place
from tests.waiting import until


def used_on_the_right(use: Callable[[Any, Any], Any], other: Any) -> Callable[[Any], Any]:
    return lambda id: use(id, other)


USES: dict[str, Callable[[Any], Any]] = {
    **{
        f"{name} with {other!r} on the {side}": (
            used_on_the_right(use, other) if side == "right" else functools.partial(use, other)
        )
        for name, use in vars(operator).items()
        if name in {"add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift"}
        or name in {"and_", "or_", "xor", "lt", "le", "gt", "ge", "iadd", "isub", "imul"}
        for other in (1, 1.5)
        for side in ("left", "right")
    },
    "divmod": lambda id: divmod(id, 2),
    "divmod by it": lambda id: divmod(2, id),
    "negation": operator.neg,
    "plus": operator.pos,
    "abs": abs,
    "inversion": operator.invert,
    "round": round,
    "trunc": math.trunc,
    "floor": math.floor,
    "ceil": math.ceil,
    "sqrt": math.sqrt,
    "truth": bool,
    "not": operator.not_,
    "and": lambda id: id and 1,
    "float": float,
    "complex": complex,
    "index": operator.index,
    "range": range,
    "index of a list": lambda id: [1, 2, 3][id],
    "item": lambda id: id["key"],
    "iteration": list,
    "unpacking": lambda id: (lambda a, b: None)(*id),
    "length": len,
    "sum": lambda id: sum([id]),
    "max": lambda id: max(id, 3),
    "format": lambda id: f"{id:d}",
    "format of a float": lambda id: f"{id:.2f}",
    "format with a width": lambda id: f"{id:>5}",
    "format method": "{:x}".format,
    "pickle": pickle.dumps,
}


@pytest.fixture
def id(place: Place) -> Any:
    service = place.server("math")
    service.exportMethod(lambda *values: values, "echo")
    endpoint = place.endpoint("math")
    place.run(endpoint.echo())
    return endpoint.echo(1)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_an_id_that_is_used_as_a_value_says_to_await_it(id: Any, use: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="await it"):
        use(id)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_an_answered_id_that_is_used_as_a_value_says_to_await_it_too(
    place: Place, id: Any, use: Callable[[Any], Any]
) -> None:
    place.run(id)
    with pytest.raises(TypeError, match="await it"):
        use(id)


def test_an_id_is_no_json(id: Any) -> None:
    with pytest.raises(TypeError):
        json.dumps(id)


def test_an_id_does_not_travel(place: Place, id: Any) -> None:
    failure = place.failure(place.endpoint("math").echo([id]))
    assert isinstance(failure, RequestEncoding) and "await it" in str(failure)


def test_an_id_shows_itself_in_texts(id: Any) -> None:
    assert f"{id}" == str(id) == repr(id) == "%s" % id  # noqa: UP031
    assert "math.echo" in str(id)


def test_a_copy_of_an_id_is_itself(id: Any) -> None:
    assert copy.copy(id) is id and copy.deepcopy([id])[0] is id


# Forgotten ones.


def warned_of(work: Callable[[Service, Any], Any], debug: bool = False) -> list[warnings.WarningMessage]:
    """What a program is warned of when `work(service, endpoint)` has been done and all is collected."""

    async def main() -> None:
        service = Service("math")
        service.exportMethod(lambda x, y: x * y, "multiply")
        service.joinGroup("workers")
        connection = core_of(service).connection
        try:
            await work(service, service.serviceEndPoint("math"))
            await until(lambda: not connection.machine.outcomes.pending)
            await asyncio.sleep(0)
            gc.collect()
        finally:
            connection.close()

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        asyncio.run(main(), debug=debug)
        gc.collect()
    return [each for each in told if each.category is RuntimeWarning]


def told_of(work: Callable[[Service, Any], Any]) -> list[str]:
    return [str(each.message) for each in warned_of(work)]


def test_a_program_that_awaits_hears_of_an_id_that_it_forgets() -> None:
    async def work(service: Service, endpoint: Any) -> None:
        assert await endpoint.multiply(1, 2) == 2
        endpoint.multiply(6, 7)

    (warning,) = told_of(work)
    assert "math.multiply was never awaited" in warning and "oneway=True" in warning


def test_a_group_that_is_forgotten_is_told_of_as_well() -> None:
    async def work(service: Service, endpoint: Any) -> None:
        assert await endpoint.multiply(1, 2) == 2
        service.groupEndPoint("workers").multiply(6, 7)

    (warning,) = told_of(work)
    assert "workers.multiply was never awaited" in warning


def test_a_program_of_callbacks_hears_nothing() -> None:
    async def work(service: Service, endpoint: Any) -> None:
        assert await endpoint.multiply(1, 2) == 2
        asyncio.get_running_loop().call_soon(endpoint.multiply, 6, 7)
        service.startTimer(lambda: [endpoint.multiply(6, 7)], 0.0)
        await asyncio.sleep(0)

    assert told_of(work) == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda service, id: service.monitorResponse(lambda product: None, id),
        lambda service, id: service.monitorResponse(None, id),
        lambda service, id: service.ignoreResponse(id),
        lambda service, id: id.add_done_callback(lambda id: id.result()),
        lambda service, id: asyncio.ensure_future(asyncio.wait_for(id, 5)),
        lambda service, id: asyncio.ensure_future(asyncio.wait([id])),
    ],
)
@pytest.mark.parametrize("moment", [lambda id: True, lambda id: id.done()], ids=["at once", "when it is answered"])
def test_what_is_asked_for_in_any_way_is_not_forgotten(
    ask: Callable[[Service, Any], Any], moment: Callable[[Any], bool]
) -> None:
    async def work(service: Service, endpoint: Any) -> None:
        assert await endpoint.multiply(1, 2) == 2
        id = endpoint.multiply(6, 7)
        await until(lambda: moment(id))
        asked = ask(service, id)
        if asyncio.isfuture(asked):
            await asked

    assert told_of(work) == []


def test_one_way_calls_and_groups_that_are_gone_through_are_not_forgotten() -> None:
    async def work(service: Service, endpoint: Any) -> None:
        assert await endpoint.multiply(1, 2) == 2
        assert service.serviceEndPoint("math", oneway=True).multiply(1, 2) is None
        assert service.groupEndPoint("workers", oneway=True).multiply(1, 2) is None
        async for _, product in service.groupEndPoint("workers").multiply(6, 7):
            assert product == 42
        service.monitorAnswers(lambda binding, product: None, service.groupEndPoint("workers").multiply(6, 7))

    assert told_of(work) == []


def test_a_loop_that_debugs_says_where_the_call_was_made() -> None:
    async def work(service: Service, endpoint: Any) -> None:
        assert await endpoint.multiply(1, 2) == 2
        endpoint.multiply(6, 7)

    (warning,) = warned_of(work, debug=True)
    assert warning.filename == __file__
    assert "endpoint.multiply(6, 7)" in linecache.getline(warning.filename, warning.lineno)
