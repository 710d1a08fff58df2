"""Console: what an exchange is doing, as a page and as JSON. Attach it to an HttpDaemon at "/".

GET  /                                 the page
GET  /api/state?with=&known=           the exchange's statistics and, of `with` (otherwise everything): directory (not
                                       when its revision is `known`), totals, deepest, peers, netports (of `user=`)
POST /api/statistics                   {"names": [...], "all": false}: summaries of the services that are shown
GET  /api/service?name=&describe=      one service: its instances with statistics and failures, its methods
POST /api/call                         {"service", "method", "args", "kwargs", "address"}: a call, its {"value"} or
                                       {"error"}; with `?text` the value as a {"text"} for people
GET  /api/reports?publisher=&pattern=  reports, as server-sent events
GET  /api/failures                     failures of all services, as server-sent events
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import pathlib
import pprint
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast
from urllib.parse import urlsplit

from aiohttp import web

from fireflyzmq._version import VERSION
from fireflyzmq.api.service import Service
from fireflyzmq.errors import Failure, InvalidArguments, MethodUnavailable, ServiceUnavailable
from fireflyzmq.gateways.console.answers import failures, text, without_schemas
from fireflyzmq.gateways.console.asking import ask
from fireflyzmq.gateways.console.guard import Guard
from fireflyzmq.gateways.console.observer import Directory, Observer
from fireflyzmq.gateways.console.pages import HEADERS, Pages
from fireflyzmq.gateways.console.sampler import Sampler
from fireflyzmq.gateways.console.summaries import summary, totals
from fireflyzmq.gateways.console.tail import FailureTail
from fireflyzmq.gateways.web.server.credentials import Users
from fireflyzmq.gateways.web.server.request import WebRequest
from fireflyzmq.gateways.web.server.streams import STREAMS, stream_reports
from fireflyzmq.gateways.web.services.calls import WebCall
from fireflyzmq.gateways.web.services.selection import Exhibition
from fireflyzmq.gateways.web.translation import json_values
from fireflyzmq.gateways.web.translation.descriptions import UNDESCRIBED, parse_description
from fireflyzmq.gateways.web.translation.failures import headers_of, status_of, told
from fireflyzmq.wire.names import name_problem
from fireflyzmq.wire.texts import shown

_STATIC: Final = pathlib.Path(__file__).parent / "static"
_STREAMS: Final = ("reports", "failures")
_MOST_NAMES: Final = 200
_MOST_INSTANCES: Final = 50
_LONGEST_TEXT: Final = 200_000
_FIRST_SECONDS: Final = 0.5
_BEAT_SECONDS: Final = 1.0

Handler = Callable[[WebRequest], Awaitable[web.StreamResponse]]


class Console:
    """A page about an exchange, for people. Everybody may use it unless it has `users`, or a `token` to be shown.

    The page itself is not secret; what it asks for is. So give users to the console, not to its daemon.
    """

    def __init__(self, *, users: Users | None = None, token: str | None = None) -> None:
        self.guard = Guard(users, token)
        self._pages = Pages(_STATIC)
        self._caller: Service
        self._observer: Observer
        self._sampler: Sampler
        self._tail: FailureTail
        self._followed = ""
        self._handlers: dict[str, tuple[str, Handler]] = {
            "state": ("GET", self._state),
            "statistics": ("POST", self._statistics),
            "service": ("GET", self._service),
            "call": ("POST", self._call),
            "reports": ("GET", self._reports),
            "failures": ("GET", self._failures),
        }

    def open(self, caller: Service) -> None:
        """The daemon begins."""
        self._caller = caller
        self._observer = Observer(caller, lambda address: self._sampler.count_own(address))
        self._tail = FailureTail(lambda address: self._ask(address, "system.failures"), self._name_of)
        self._sampler = Sampler(lambda address: ask(caller, address, "system.statistics"), self._tail.heard)

    def close(self) -> None:
        """The daemon has ended."""
        self._sampler.close()
        self._tail.close()

    # Requests.

    async def respond(self, request: WebRequest) -> web.StreamResponse:
        """Answer a request; a failure becomes the status that says the same."""
        first, _, name = request.path.partition("/")
        try:
            if first != "api":
                _allow(request.http, "GET")
                return self._pages.response(request.http, request.path)
            method, handler = self._handlers.get(name, ("", None))
            if handler is None:
                raise web.HTTPNotFound(text="nothing is here\n")
            _allow(request.http, method, stream=name in _STREAMS)
            _check_origin(request.http)
            user = await self.guard.user_of(request.http)
            if user is None:
                return _json({"error": {"kind": "NotAuthorised", "description": "a token is needed"}}, 401)
            return await handler(request.of_user(user or request.user))
        except Failure as failure:
            return _json({"error": told(failure)}, status_of(failure), headers_of(failure))
        except web.HTTPException as refusal:
            refusal.headers.update(HEADERS)
            raise

    async def _state(self, request: WebRequest) -> web.StreamResponse:
        query = request.http.query
        wanted = query.get("with")
        parts = {"directory", "totals", "deepest", "peers", "netports"}
        if wanted is not None:
            parts &= set(wanted.split(","))
        observer = self._observer
        state: dict[str, Any] = {"console": VERSION, "connected": observer.connected, "reason": observer.reason}
        if not observer.connected:
            return _json(state)
        try:
            await self._fill(state, parts, query.get("known", ""), query.get("user", ""))
        except Failure as failure:
            return _json({**state, "connected": False, "reason": f"the exchange does not answer: {failure}"})
        return _json(state)

    async def _fill(self, state: dict[str, Any], parts: set[str], known: str, user: str) -> None:
        """Put the parts of the state in that are wanted."""
        observer = self._observer
        directory = await self._follow()
        state["stats"] = await observer.stats()
        state["at"] = observer.stats_at
        state["revision"] = directory.revision
        if "directory" in parts and directory.revision != known:
            state["services"] = directory.by_name
            state["groups"] = directory.groups()
        if "totals" in parts:
            self._sampler.sweep()
            names = {address: entry["name"] for address, entry in directory.addresses.items()}
            state["totals"] = totals(self._sampler.samples, names)
        if "deepest" in parts:
            state["deepest"] = await observer.deepest()
        if "peers" in parts:
            state["peers"] = await observer.peers()
        if "netports" in parts:
            state["netports"] = await observer.netports(user)

    async def _follow(self) -> Directory:
        """The services there are; what is known of others is forgotten."""
        directory = await self._observer.directory()
        if directory.revision != self._followed:
            self._followed = directory.revision
            self._sampler.exist(directory.addresses)
            self._tail.forget(set(directory.addresses))
        return directory

    async def _statistics(self, request: WebRequest) -> web.StreamResponse:
        asked = await _object(request)
        names = asked.get("names", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InvalidArguments("names are texts in an array")
        directory = await self._follow()
        entries = {name: directory.by_name[name] for name in names[:_MOST_NAMES] if name in directory.by_name}
        addresses = [entry["address"] for each in entries.values() for entry in each]
        self._sampler.want(addresses)
        await self._sampler.settle(addresses, _FIRST_SECONDS)
        if asked.get("all"):
            self._sampler.sweep()
            entries = directory.by_name
        samples = self._sampler.samples
        return _json(
            {
                name: summary(samples[entry["address"]] for entry in each if entry["address"] in samples)
                for name, each in entries.items()
            }
        )

    async def _service(self, request: WebRequest) -> web.StreamResponse:
        name = request.http.query.get("name", "")
        directory = await self._follow()
        entries = directory.by_name.get(name)
        if entries is None:
            raise ServiceUnavailable(f"nobody offers {name!r}")
        shown = entries[:_MOST_INSTANCES]
        addresses = [entry["address"] for entry in shown]
        self._sampler.want(addresses)
        await self._sampler.settle(addresses, _FIRST_SECONDS)
        instances = await asyncio.gather(*(self._instance(entry) for entry in shown))
        answer: dict[str, Any] = {"name": name, "count": len(entries), "instances": instances}
        answer["summary"] = summary(sample for sample in map(self._sampler.samples.get, addresses) if sample)
        if request.http.query.get("describe", "1") != "0":
            described = parse_description(name, await self._description(addresses), with_roots=True)
            answer["description"] = without_schemas(described)
        return _json(answer)

    async def _instance(self, entry: dict[str, Any]) -> dict[str, Any]:
        """One instance: who it is, and what it tells of itself as far as it does."""
        address = entry["address"]
        sample = self._sampler.samples.get(address)
        instance = {**entry, "statistics": None if sample is None else summary([sample]), "failures": []}
        if sample is not None:
            instance["kinds"] = sample.failures
            if sample.failed and not sample.problem:
                try:
                    instance["failures"] = failures(await self._ask(address, "system.failures"))
                except Failure as failure:
                    instance["statistics"]["problem"] = text(failure.kind)
                except ValueError:
                    instance["statistics"]["problem"] = "no failures"
        return instance

    async def _description(self, addresses: list[str]) -> Any:
        """What the first instance that answers says of itself, as it says it."""
        refusal: Failure = ServiceUnavailable("nobody answers")
        for address in addresses[:3]:
            try:
                return await self._ask(address, "system.describe")
            except MethodUnavailable:  # it is none of Python's
                return UNDESCRIBED
            except Failure as failure:
                refusal = failure
        raise refusal

    async def _call(self, request: WebRequest) -> web.StreamResponse:
        asked = await _object(request)
        name, method, address = asked.get("service"), asked.get("method"), asked.get("address")
        args, kwargs = asked.get("args") or [], asked.get("kwargs") or {}
        if not isinstance(name, str) or not isinstance(method, str) or not isinstance(address, (str, type(None))):
            raise InvalidArguments("service, method and address are texts")
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise InvalidArguments("args is an array and kwargs an object")
        await self._follow()
        chosen = _Chosen(await self._observer.directory(), address)
        properties = request.properties()
        call = WebCall(request.caller, cast(Exhibition, chosen), name, request.timeout(), properties)
        value = await call.call(method, args, kwargs)
        return _json({"text": _shown(value)} if "text" in request.http.query else {"value": value})

    # Streams.

    async def _reports(self, request: WebRequest) -> web.StreamResponse:
        publisher = request.http.query.get("publisher", "")
        problem = name_problem(publisher, "publisher")
        if problem is not None:
            raise InvalidArguments(problem)
        return await stream_reports(request, cast(Exhibition, _Everyone()), publisher)

    async def _failures(self, request: WebRequest) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                **HEADERS,
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        await response.prepare(request.http)
        await response.write(b": here\n\n")
        news, waiting = self._tail.watch()
        stream = _Stream(news)
        streams = cast("set[Any]", request.http.app[STREAMS])
        streams.add(stream)
        try:
            while not stream.closed:
                await self._keep_sweeping()
                try:
                    async with asyncio.timeout(_BEAT_SECONDS):
                        await news.wait()
                except TimeoutError:
                    await response.write(b": still here\n\n")
                news.clear()
                while waiting:
                    told = waiting.pop(next(iter(waiting)))
                    await response.write(b"event: failure\ndata: " + json_values.dumps(told) + b"\n\n")
        except ConnectionError:
            pass
        finally:
            self._tail.leave(news)
            streams.discard(stream)
        return response

    async def _keep_sweeping(self) -> None:
        """Let all services be asked for their counters, when there is an exchange to ask."""
        if self._observer.connected:
            try:
                await self._follow()
            except Failure:
                return
            self._sampler.sweep()

    # Others.

    def _ask(self, address: str, method: str) -> Awaitable[Any]:
        return ask(self._caller, address, method)

    def _name_of(self, address: str) -> str | None:
        return self._observer.name_of(address)


class _Stream:
    """A stream that the daemon closes when it stops."""

    def __init__(self, news: asyncio.Event) -> None:
        self.closed = False
        self._news = news

    def close(self) -> None:
        self.closed = True
        self._news.set()


class _Everyone:
    """All there are, hidden services too: an exhibition as far as streams need one."""

    def instances(self, name: str) -> _Everyone:
        return self

    def has_shown(self, name: str) -> bool:
        return True

    def __contains__(self, binding: object) -> bool:
        return True


@dataclasses.dataclass(frozen=True)
class _Chosen:
    """The instances that a call may go to: all of a name, or the one of an address. What WebCall needs of those."""

    directory: Directory
    address: str | None

    def instances(self, name: str) -> list[Any]:
        return [binding for binding in self.directory.instances(name) if self.address in (None, binding.address)]


def _allow(http: web.Request, method: str, stream: bool = False) -> None:
    """Refuse other methods. A stream has no end to be answered without its body, so it takes no HEAD."""
    allowed = [method, "HEAD"] if method == "GET" and not stream else [method]
    if http.method not in allowed:
        raise web.HTTPMethodNotAllowed(http.method, allowed, text=f"only {' and '.join(allowed)}\n")


def _check_origin(http: web.Request) -> None:
    """Refuse what a page from elsewhere asks for: on a loopback address nobody shows who he is."""
    origin = http.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != http.headers.get("Host"):
        raise web.HTTPForbidden(text="this page may not use the console\n")
    if http.method == "POST" and http.content_type != "application/json":  # others need no leave (Fetch, 2.2.2)
        raise web.HTTPUnsupportedMediaType(text="the body is to be application/json\n")


async def _object(request: WebRequest) -> dict[str, Any]:
    """The object in a body; InvalidArguments when it is none."""
    try:
        value = json_values.loads(await request.body())
    except ValueError as error:
        raise InvalidArguments(f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidArguments("the body is an object")
    return value


def _shown(value: Any) -> str:
    """A value as people read it: JSON, or what Python writes when JSON cannot say it."""
    try:
        text = json.dumps(json.loads(json_values.dumps(value)), indent=2, ensure_ascii=False)
    except ValueError:
        text = _in_python(value)
    left = len(text) - _LONGEST_TEXT
    return text if left <= 0 else f"{text[:_LONGEST_TEXT]}\n... and {left} characters more"


def _in_python(value: Any) -> str:
    """What Python writes, or that it cannot: an integer of more than some thousand digits, say."""
    try:
        return pprint.pformat(value, width=100, sort_dicts=False)
    except Exception:
        return shown(value)


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A response of JSON; a value that JSON cannot say is the service's failure."""
    try:
        body = json_values.dumps(value)
    except ValueError as error:
        body = json_values.dumps({"error": {"kind": "ResponseEncoding", "code": 52, "description": str(error)}})
        status = 502
    extra = {**HEADERS, "Cache-Control": "no-store", **(headers or {})}
    response = web.Response(body=body, status=status, headers=extra, content_type="application/json")
    if len(body) > 4096:
        response.enable_compression()
    return response
