"""Resources: what the console's page asks for under /api/, each as JSON or as a stream.

They know what a page wants to see and where it is known. They know neither who asks nor how he is let in.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from aiohttp import web

from fireflyzmq._version import VERSION
from fireflyzmq.errors import Failure, InvalidArguments, MethodUnavailable, ServiceUnavailable
from fireflyzmq.gateways.console.answers import failures, text, without_schemas
from fireflyzmq.gateways.console.asking import ask
from fireflyzmq.gateways.console.failures import stream_failures
from fireflyzmq.gateways.console.observer import Snapshot
from fireflyzmq.gateways.console.overview import Overview
from fireflyzmq.gateways.console.requests import json_reply, object_of
from fireflyzmq.gateways.console.summaries import summary, totals
from fireflyzmq.gateways.console.texts import readable
from fireflyzmq.gateways.web.server.request import WebRequest
from fireflyzmq.gateways.web.server.streams import stream_reports
from fireflyzmq.gateways.web.translation.descriptions import UNDESCRIBED, parse_description
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.names import name_problem

_MOST_NAMES: Final = 200
_MOST_INSTANCES: Final = 50
_MOST_ASKED: Final = 3
"""Instances of a service that are asked in turn to describe it."""

_PARTS: Final = frozenset({"directory", "totals", "deepest", "peers", "netports"})


class ApiRoute(NamedTuple):
    """What answers the requests of a method for a resource; a stream is one that has no end of its own."""

    method: str
    respond: Callable[[WebRequest], Awaitable[web.StreamResponse]]
    stream: bool = False


class Resources:
    """What there is to ask for, by its name in `routes`. Failures are raised."""

    def __init__(self, overview: Overview) -> None:
        self._overview = overview
        self.routes: Final = {
            "state": ApiRoute("GET", self._state),
            "statistics": ApiRoute("POST", self._statistics),
            "service": ApiRoute("GET", self._service),
            "call": ApiRoute("POST", self._call),
            "reports": ApiRoute("GET", self._reports, stream=True),
            "failures": ApiRoute("GET", self._failures, stream=True),
        }

    async def _state(self, request: WebRequest) -> web.StreamResponse:
        query = request.http.query
        wanted = query.get("with")
        parts = _PARTS if wanted is None else _PARTS.intersection(wanted.split(","))
        observer = self._overview.observer
        state: dict[str, Any] = {"console": VERSION, "connected": observer.connected, "reason": observer.reason}
        if not observer.connected:
            return json_reply(state)
        try:
            await self._fill(state, parts, query.get("known", ""), query.get("user", ""))
        except Failure as failure:
            return json_reply({**state, "connected": False, "reason": f"the exchange does not answer: {failure}"})
        return json_reply(state)

    async def _fill(self, state: dict[str, Any], parts: frozenset[str], known: str, user: str) -> None:
        """Put the parts of the state in that are wanted."""
        observer = self._overview.observer
        directory = await self._overview.follow()
        state["stats"] = await observer.stats()
        state["at"] = observer.stats_at
        state["revision"] = directory.revision
        if "directory" in parts and directory.revision != known:
            state["services"] = directory.by_name
            state["groups"] = directory.groups()
        if "totals" in parts:
            self._overview.sampler.sweep()
            names = {address: entry["name"] for address, entry in directory.addresses.items()}
            state["totals"] = totals(self._overview.sampler.samples, names)
        if "deepest" in parts:
            state["deepest"] = await observer.deepest()
        if "peers" in parts:
            state["peers"] = await observer.peers()
        if "netports" in parts:
            state["netports"] = await observer.netports(user)

    async def _statistics(self, request: WebRequest) -> web.StreamResponse:
        asked = await object_of(request)
        names = asked.get("names", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InvalidArguments("names are texts in an array")
        directory = await self._overview.follow()
        entries = {name: directory.by_name[name] for name in names[:_MOST_NAMES] if name in directory.by_name}
        addresses = [entry["address"] for each in entries.values() for entry in each]
        await self._overview.sample(addresses)
        if asked.get("all"):
            self._overview.sampler.sweep()
            entries = directory.by_name
        samples = self._overview.sampler.samples
        return json_reply(
            {
                name: summary(samples[entry["address"]] for entry in each if entry["address"] in samples)
                for name, each in entries.items()
            }
        )

    async def _service(self, request: WebRequest) -> web.StreamResponse:
        name = request.http.query.get("name", "")
        directory = await self._overview.follow()
        entries = directory.by_name.get(name)
        if entries is None:
            raise ServiceUnavailable(f"nobody offers {name!r}")
        listed = entries[:_MOST_INSTANCES]
        addresses = [entry["address"] for entry in listed]
        await self._overview.sample(addresses)
        instances = await asyncio.gather(*(self._instance(request, entry) for entry in listed))
        answer: dict[str, Any] = {"name": name, "count": len(entries), "instances": instances}
        answer["summary"] = summary(sample for sample in map(self._overview.sampler.samples.get, addresses) if sample)
        if request.http.query.get("describe", "1") != "0":
            described = parse_description(name, await _description(request, addresses), with_roots=True)
            answer["description"] = without_schemas(described)
        return json_reply(answer)

    async def _instance(self, request: WebRequest, entry: dict[str, Any]) -> dict[str, Any]:
        """One instance: who it is, and what it tells of itself as far as it does."""
        address = entry["address"]
        sample = self._overview.sampler.samples.get(address)
        instance = {**entry, "statistics": None if sample is None else summary([sample]), "failures": []}
        if sample is not None:
            instance["kinds"] = sample.failures
            if sample.failed and not sample.problem:
                try:
                    instance["failures"] = failures(await ask(request.caller, address, "system.failures"))
                except Failure as failure:
                    instance["statistics"]["problem"] = text(failure.kind)
                except ValueError:
                    instance["statistics"]["problem"] = "no failures"
        return instance

    async def _call(self, request: WebRequest) -> web.StreamResponse:
        asked = await object_of(request)
        name, method, address = asked.get("service"), asked.get("method"), asked.get("address")
        args, kwargs = asked.get("args") or [], asked.get("kwargs") or {}
        if not isinstance(name, str) or not isinstance(method, str) or not isinstance(address, (str, type(None))):
            raise InvalidArguments("service, method and address are texts")
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise InvalidArguments("args is an array and kwargs an object")
        chosen = _Chosen(await self._overview.follow(), address)
        value = await request.call_to(chosen, name).call(method, args, kwargs)
        return json_reply({"text": readable(value)} if "text" in request.http.query else {"value": value})

    async def _reports(self, request: WebRequest) -> web.StreamResponse:
        publisher = request.http.query.get("publisher", "")
        problem = name_problem(publisher, "publisher")
        if problem is not None:
            raise InvalidArguments(problem)
        return await stream_reports(request, _Everyone(), publisher)

    async def _failures(self, request: WebRequest) -> web.StreamResponse:
        return await stream_failures(request, self._overview)


async def _description(request: WebRequest, addresses: list[str]) -> Any:
    """What the first instance that answers says of itself, as it says it."""
    refusal: Failure = ServiceUnavailable("nobody answers")
    for address in addresses[:_MOST_ASKED]:
        try:
            return await ask(request.caller, address, "system.describe")
        except MethodUnavailable:  # it is none of Python's
            return UNDESCRIBED
        except Failure as failure:
            refusal = failure
    raise refusal


class _Everyone:
    """All there are, hidden services too: whose reports the page may have."""

    def instances(self, name: str) -> _Everyone:
        return self

    def has_shown(self, name: str) -> bool:
        return True

    def when_shown(self, name: str) -> asyncio.Future[None]:
        shown = asyncio.get_running_loop().create_future()
        shown.set_result(None)
        return shown

    def __contains__(self, binding: object) -> bool:
        return True


@dataclasses.dataclass(frozen=True)
class _Chosen:
    """The instances that a call may go to: all of a name, or the one of an address."""

    directory: Snapshot
    address: str | None

    def instances(self, name: str) -> list[Binding]:
        return [binding for binding in self.directory.instances(name) if self.address in (None, binding.address)]
