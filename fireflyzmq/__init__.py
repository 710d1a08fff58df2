"""Named services that call each other through an exchange.

    import fireflyzmq as netsvc

Names are loaded when they are first used (PEP 562), so that the exchange, which needs the pure modules alone, does not
pay for the rest.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from fireflyzmq import _version

if TYPE_CHECKING:
    from fireflyzmq import jsonrpc as jsonrpc
    from fireflyzmq import xmlrpc as xmlrpc
    from fireflyzmq.api.client import Client
    from fireflyzmq.api.connect import connect
    from fireflyzmq.api.cores.notices import (
        SUBSCRIPTION_REQUESTED,
        SUBSCRIPTION_WITHDRAWN,
        PublisherNotice,
        SubscriptionNotice,
    )
    from fireflyzmq.api.endpoint import Endpoint, GroupEndpoint, OnewayEndpoint
    from fireflyzmq.api.exchange import EXCHANGE_CLIENT, EXCHANGE_SERVER, Exchange
    from fireflyzmq.api.nodes import Child, Root, remoteserviceHandle, rootserviceHandle
    from fireflyzmq.api.service import SERVICE_HIDDEN, SERVICE_VISIBLE, Service, detached, serviceEndPoint
    from fireflyzmq.cluster.current import node
    from fireflyzmq.errors import (
        ApplicationFailure,
        ExchangeLost,
        Failure,
        InvalidArguments,
        MessageTooLarge,
        MethodUnavailable,
        NotAuthorised,
        Overloaded,
        RegistrationRefused,
        RequestCancelled,
        RequestDecoding,
        RequestEncoding,
        RequestTimeout,
        ResponseEncoding,
        ResponseLost,
        ServiceUnavailable,
        ServiceWithdrawn,
    )
    from fireflyzmq.gateways.netport.codecs.firefly import FireflyCodec
    from fireflyzmq.gateways.netport.codecs.lines import LineCodec
    from fireflyzmq.gateways.netport.codecs.messagepack import MessagePackCodec
    from fireflyzmq.gateways.netport.limits import NetLimits
    from fireflyzmq.gateways.netport.port import NetPort, netserviceHandle
    from fireflyzmq.gateways.netport.remote import Sessions
    from fireflyzmq.gateways.netport.shown import Session
    from fireflyzmq.gateways.web.operations import HealthGateway, MetricsGateway, serveMetrics
    from fireflyzmq.gateways.web.plain import PlainGateway
    from fireflyzmq.gateways.web.server.credentials import Credentials, Users
    from fireflyzmq.gateways.web.server.daemon import HttpDaemon
    from fireflyzmq.gateways.web.server.limits import WebLimits
    from fireflyzmq.gateways.web.services.selection import SERVICE_GROUP, SERVICE_NAME, SERVICE_REGISTRY, Selection
    from fireflyzmq.peer.presence import SERVICE_AVAILABLE, SERVICE_WITHDRAWN, Status
    from fireflyzmq.peer.subscriptions import Report
    from fireflyzmq.runtime.dispatcher import SHUTDOWN_ARRIVED, SHUTDOWN_PENDING, Dispatcher
    from fireflyzmq.runtime.response import GroupResponseId, ResponseId
    from fireflyzmq.telemetry.collector import MetricsCollector
    from fireflyzmq.telemetry.logs import JsonFormatter, logJson
    from fireflyzmq.wire.binding import Binding
    from fireflyzmq.wire.codec import Opaque, decoder, encoder

__version__ = _version.VERSION

_HOMES = {
    "api.client": ("Client",),
    "api.connect": ("connect",),
    "api.cores.notices": (
        "SUBSCRIPTION_REQUESTED",
        "SUBSCRIPTION_WITHDRAWN",
        "PublisherNotice",
        "SubscriptionNotice",
    ),
    "runtime.dispatcher": ("SHUTDOWN_ARRIVED", "SHUTDOWN_PENDING", "Dispatcher"),
    "api.endpoint": ("Endpoint", "GroupEndpoint", "OnewayEndpoint"),
    "errors": (
        "ApplicationFailure",
        "ExchangeLost",
        "Failure",
        "InvalidArguments",
        "MessageTooLarge",
        "MethodUnavailable",
        "NotAuthorised",
        "Overloaded",
        "RegistrationRefused",
        "RequestCancelled",
        "RequestDecoding",
        "RequestEncoding",
        "RequestTimeout",
        "ResponseEncoding",
        "ResponseLost",
        "ServiceUnavailable",
        "ServiceWithdrawn",
    ),
    "api.exchange": ("EXCHANGE_CLIENT", "EXCHANGE_SERVER", "Exchange"),
    "telemetry.logs": ("JsonFormatter", "logJson"),
    "telemetry.collector": ("MetricsCollector",),
    "gateways.netport.codecs.firefly": ("FireflyCodec",),
    "gateways.netport.limits": ("NetLimits",),
    "gateways.netport.codecs.lines": ("LineCodec",),
    "gateways.netport.port": ("NetPort", "netserviceHandle"),
    "cluster.current": ("node",),
    "gateways.netport.remote": ("Sessions",),
    "gateways.netport.codecs.messagepack": ("MessagePackCodec",),
    "gateways.netport.shown": ("Session",),
    "api.nodes": ("Child", "Root", "remoteserviceHandle", "rootserviceHandle"),
    "peer.presence": ("SERVICE_AVAILABLE", "SERVICE_WITHDRAWN", "Status"),
    "peer.subscriptions": ("Report",),
    "runtime.response": ("GroupResponseId", "ResponseId"),
    "api.service": ("SERVICE_HIDDEN", "SERVICE_VISIBLE", "Service", "detached", "serviceEndPoint"),
    "gateways.web.server.credentials": ("Credentials", "Users"),
    "gateways.web.server.daemon": ("HttpDaemon",),
    "gateways.web.server.limits": ("WebLimits",),
    "gateways.web.operations": ("HealthGateway", "MetricsGateway", "serveMetrics"),
    "gateways.web.plain": ("PlainGateway",),
    "gateways.web.services.selection": ("SERVICE_GROUP", "SERVICE_NAME", "SERVICE_REGISTRY", "Selection"),
    "wire.binding": ("Binding",),
    "wire.codec": ("Opaque", "decoder", "encoder"),
}
_GATEWAYS = ("jsonrpc", "xmlrpc")
"""Modules that are reached as `netsvc.xmlrpc` without being imported by themselves."""

_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "EXCHANGE_CLIENT",
    "EXCHANGE_SERVER",
    "SERVICE_AVAILABLE",
    "SERVICE_GROUP",
    "SERVICE_HIDDEN",
    "SERVICE_NAME",
    "SERVICE_REGISTRY",
    "SERVICE_VISIBLE",
    "SERVICE_WITHDRAWN",
    "SHUTDOWN_ARRIVED",
    "SHUTDOWN_PENDING",
    "SUBSCRIPTION_REQUESTED",
    "SUBSCRIPTION_WITHDRAWN",
    "ApplicationFailure",
    "Binding",
    "Child",
    "Client",
    "Credentials",
    "Dispatcher",
    "Endpoint",
    "Exchange",
    "ExchangeLost",
    "Failure",
    "FireflyCodec",
    "GroupEndpoint",
    "GroupResponseId",
    "HealthGateway",
    "HttpDaemon",
    "InvalidArguments",
    "JsonFormatter",
    "LineCodec",
    "MessagePackCodec",
    "MessageTooLarge",
    "MethodUnavailable",
    "MetricsCollector",
    "MetricsGateway",
    "NetLimits",
    "NetPort",
    "NotAuthorised",
    "OnewayEndpoint",
    "Opaque",
    "Overloaded",
    "PlainGateway",
    "PublisherNotice",
    "RegistrationRefused",
    "Report",
    "RequestCancelled",
    "RequestDecoding",
    "RequestEncoding",
    "RequestTimeout",
    "ResponseEncoding",
    "ResponseId",
    "ResponseLost",
    "Root",
    "Selection",
    "Service",
    "ServiceUnavailable",
    "ServiceWithdrawn",
    "Session",
    "Sessions",
    "Status",
    "SubscriptionNotice",
    "Users",
    "WebLimits",
    "__version__",
    "connect",
    "decoder",
    "detached",
    "encoder",
    "logJson",
    "netserviceHandle",
    "node",
    "remoteserviceHandle",
    "rootserviceHandle",
    "serveMetrics",
    "serviceEndPoint",
]


if not TYPE_CHECKING:  # for which every misspelt name would be one

    def __getattr__(name: str) -> Any:
        module = _MODULES.get(name)
        if name in _GATEWAYS:
            return importlib.import_module(f"fireflyzmq.{name}")
        if module is None:
            raise AttributeError(f"module 'fireflyzmq' has no attribute {name!r}")
        from fireflyzmq.conventions.extras import needed_for

        with needed_for(name):
            value = getattr(importlib.import_module(f"fireflyzmq.{module}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _look_at_what_runs() -> None:
    """Tell of `python -m exchange` where another program of that name comes first in the search path."""
    main = getattr(sys.modules.get("__main__"), "__spec__", None)
    if main is not None and main.name in ("exchange", "exchange.__main__"):
        from fireflyzmq.runtime.beside import tell_of_shadow

        tell_of_shadow(main)


_look_at_what_runs()
