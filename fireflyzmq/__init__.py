"""Named services that call each other through an exchange.

    import fireflyzmq as netsvc

Names are loaded when they are first used (PEP 562), so that the exchange, which needs the pure modules alone, does not
pay for the rest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fireflyzmq import _version

if TYPE_CHECKING:
    from fireflyzmq import jsonrpc as jsonrpc
    from fireflyzmq import xmlrpc as xmlrpc
    from fireflyzmq.client import Client, connect
    from fireflyzmq.cores.reporting import PublisherNotice
    from fireflyzmq.dispatcher import SHUTDOWN_ARRIVED, SHUTDOWN_PENDING, Dispatcher
    from fireflyzmq.endpoint import Endpoint, GroupEndpoint, OnewayEndpoint
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
    from fireflyzmq.exchange import EXCHANGE_CLIENT, EXCHANGE_SERVER, Exchange
    from fireflyzmq.logs import JsonFormatter, logJson
    from fireflyzmq.metrics import MetricsCollector
    from fireflyzmq.netport.firefly import FireflyCodec
    from fireflyzmq.netport.limits import NetLimits
    from fireflyzmq.netport.lines import LineCodec
    from fireflyzmq.netport.port import NetPort, netserviceHandle
    from fireflyzmq.netport.remote import Sessions
    from fireflyzmq.netport.rpc import MessagePackCodec
    from fireflyzmq.netport.shown import Session
    from fireflyzmq.nodes import Child, Root, remoteserviceHandle, rootserviceHandle
    from fireflyzmq.presence import SERVICE_AVAILABLE, SERVICE_WITHDRAWN, Status
    from fireflyzmq.reports import Report
    from fireflyzmq.response import GroupResponseId, ResponseId
    from fireflyzmq.service import SERVICE_HIDDEN, SERVICE_VISIBLE, Service, detached, serviceEndPoint
    from fireflyzmq.vocabulary.reporting import SUBSCRIPTION_REQUESTED, SUBSCRIPTION_WITHDRAWN, SubscriptionNotice
    from fireflyzmq.webgate.credentials import Credentials, Users
    from fireflyzmq.webgate.daemon import HttpDaemon
    from fireflyzmq.webgate.limits import WebLimits
    from fireflyzmq.webgate.operations import HealthGateway, MetricsGateway, serveMetrics
    from fireflyzmq.webgate.plain import PlainGateway
    from fireflyzmq.webgate.selection import SERVICE_GROUP, SERVICE_NAME, SERVICE_REGISTRY, Selection
    from fireflyzmq.wire.binding import Binding
    from fireflyzmq.wire.codec import Opaque, decoder, encoder

__version__ = _version.VERSION

_HOMES = {
    "client": ("Client", "connect"),
    "cores.reporting": ("PublisherNotice",),
    "dispatcher": ("SHUTDOWN_ARRIVED", "SHUTDOWN_PENDING", "Dispatcher"),
    "endpoint": ("Endpoint", "GroupEndpoint", "OnewayEndpoint"),
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
    "exchange": ("EXCHANGE_CLIENT", "EXCHANGE_SERVER", "Exchange"),
    "logs": ("JsonFormatter", "logJson"),
    "metrics": ("MetricsCollector",),
    "netport.firefly": ("FireflyCodec",),
    "netport.limits": ("NetLimits",),
    "netport.lines": ("LineCodec",),
    "netport.port": ("NetPort", "netserviceHandle"),
    "netport.remote": ("Sessions",),
    "netport.rpc": ("MessagePackCodec",),
    "netport.shown": ("Session",),
    "nodes": ("Child", "Root", "remoteserviceHandle", "rootserviceHandle"),
    "presence": ("SERVICE_AVAILABLE", "SERVICE_WITHDRAWN", "Status"),
    "reports": ("Report",),
    "response": ("GroupResponseId", "ResponseId"),
    "service": ("SERVICE_HIDDEN", "SERVICE_VISIBLE", "Service", "detached", "serviceEndPoint"),
    "vocabulary.reporting": ("SUBSCRIPTION_REQUESTED", "SUBSCRIPTION_WITHDRAWN", "SubscriptionNotice"),
    "webgate.credentials": ("Credentials", "Users"),
    "webgate.daemon": ("HttpDaemon",),
    "webgate.limits": ("WebLimits",),
    "webgate.operations": ("HealthGateway", "MetricsGateway", "serveMetrics"),
    "webgate.plain": ("PlainGateway",),
    "webgate.selection": ("SERVICE_GROUP", "SERVICE_NAME", "SERVICE_REGISTRY", "Selection"),
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
        from fireflyzmq.extras import needed_for

        with needed_for(name):
            value = getattr(importlib.import_module(f"fireflyzmq.{module}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
