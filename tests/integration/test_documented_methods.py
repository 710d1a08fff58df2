"""Every service, and the exchange, answer what docs/protocol.md tells of their methods."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

import fireflyzmq as netsvc
from fireflyzmq.testing import ExchangeProcess
from tests.wire.test_document import table


def documented(heading: str) -> dict[str, set[str]]:
    """The methods of a table, each with the names that its value has."""
    return {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[2])) for row in table(heading)}


@pytest.fixture(scope="module")
def caller() -> Iterator[netsvc.Client]:
    """A caller of a real exchange, which is a service as well."""
    with ExchangeProcess() as process, netsvc.Client(process.address) as client:
        yield client


def test_every_service_answers_what_is_told(caller: netsvc.Client) -> None:
    system = caller.serviceEndPoint("exchange").system
    names = {**documented("Every service"), "system.report": {"refused"}}
    assert names.keys() == {"system.describe", "system.statistics", "system.failures", "system.report"}
    assert system.describe().keys() == names["system.describe"]
    assert system.statistics().keys() == names["system.statistics"]
    with pytest.raises(netsvc.MethodUnavailable):
        caller.serviceEndPoint("exchange").nothing()
    assert system.failures()[-1].keys() == names["system.failures"]
    with pytest.raises(netsvc.InvalidArguments):
        system.report("no subject, as it has spaces", None)


def test_the_exchange_answers_what_is_told(caller: netsvc.Client) -> None:
    exchange = caller.serviceEndPoint("exchange")
    names = documented("The exchange")
    assert {each["name"] for each in exchange.system.describe()["methods"]} == names.keys()
    assert exchange.ping() == "pong"
    assert exchange.services()[0].keys() == names["services"] and list(exchange.groups()) == []
    assert exchange.peers()[0].keys() == names["peers"]
    assert exchange.stats().keys() > names["stats"]
