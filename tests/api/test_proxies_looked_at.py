"""Endpoints and remote methods that debuggers, mocks, copies and pickles look at: nothing calls, nothing recurses."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from fireflyzmq.api.blocking import BlockingEndpoint
from fireflyzmq.api.cores.service import core_of
from tests.api.places import Place

LOOKS: list[Callable[[Any], Any]] = [
    repr,
    str,
    hash,
    bool,
    dir,
    inspect.isawaitable,
    inspect.iscoroutinefunction,
    inspect.isgenerator,
    inspect.getdoc,
    inspect.getmembers,
    callable,
    copy.copy,
    copy.deepcopy,
    mock.create_autospec,
    lambda it: functools.wraps(it)(lambda: None),
    lambda it: mock.Mock()(it),
    lambda it: it == 5,
    lambda it: it in [1, it],
    lambda it: getattr(it, "__len__", None),
    lambda it: getattr(it, "_repr_html_", None),
    lambda it: getattr(it, "__array__", None),
]
HALF_MADE: list[Callable[[Any], Any]] = [
    lambda it: getattr(it, "__setstate__", None),
    lambda it: getattr(it, "__deepcopy__", None),
    lambda it: getattr(it, "_anything", None),
]


@pytest.fixture(params=["endpoint", "method", "dotted", "blocking", "blocking method", "blocking dotted"])
def proxy(place: Place, request: pytest.FixtureRequest) -> Any:
    """Each kind of proxy."""
    place.server()
    place.settle()
    endpoint = place.endpoint()
    nobody: Any = None  # no client has to live
    kinds: dict[str, Callable[[], Any]] = {
        "endpoint": lambda: endpoint,
        "method": lambda: endpoint.f,
        "dotted": lambda: endpoint.a.b,
        "blocking": lambda: BlockingEndpoint(endpoint, nobody),
        "blocking method": lambda: BlockingEndpoint(endpoint, nobody).f,
        "blocking dotted": lambda: BlockingEndpoint(endpoint, nobody).a.b,
    }
    return kinds[request.param]()


@pytest.mark.parametrize("look", LOOKS)
def test_looking_at_a_proxy_calls_nobody_and_ends(place: Place, proxy: Any, look: Callable[[Any], Any]) -> None:
    look(proxy)
    place.settle()
    assert core_of(place.caller).connection.machine.outcomes.started == 0


@pytest.mark.parametrize("look", HALF_MADE)
def test_a_proxy_that_is_not_made_yet_has_nothing(proxy: Any, look: Callable[[Any], Any]) -> None:
    look(object.__new__(type(proxy)))


def test_a_copy_of_a_proxy_is_the_proxy(proxy: Any) -> None:
    assert copy.copy(proxy) is proxy and copy.deepcopy([proxy])[0] is proxy


def test_a_proxy_that_is_pickled_says_what_travels(proxy: Any) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="does not travel; send the binding"):
            pickle.dumps(proxy, protocol)
