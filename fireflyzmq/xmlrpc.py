"""XML-RPC: the gateway for programs that call services by `xmlrpc.client` and its like.

A path names a service; its methods are called by their names with positional arguments. A fault has the failure's code
and description; faults of the protocol itself have the codes of the Specification for Fault Code Interoperability.

    -32700   the XML is not well-formed
    -32701   its charset is not known here
    -32702   it holds bytes that its charset lacks
    -32600   it is no call of XML-RPC, or one beyond the limits
    -32603   the gateway failed
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from fireflyzmq.errors import Failure, InvalidArguments, MethodUnavailable
from fireflyzmq.gateways.web.services.attempts import BATCH_CALLS, attempt, together
from fireflyzmq.gateways.web.services.gateway import Exposed, Reply
from fireflyzmq.gateways.web.translation import xmlrpc_messages as messages
from fireflyzmq.gateways.web.translation.failures import headers_of
from fireflyzmq.gateways.web.translation.rpc_errors import BadRequest, InternalError, failure_code
from fireflyzmq.gateways.web.translation.signatures import UNDEFINED, checked_signatures, signatures
from fireflyzmq.gateways.web.translation.xmlrpc_messages import Fault, Written

logger = logging.getLogger(__name__)


class RpcGateway:
    """Offers services of a selection by XML-RPC, with introspection and `system.multicall`."""

    def __init__(self, selection: Any, batch_calls: int = BATCH_CALLS) -> None:
        self.selection = selection
        self.batch_calls = batch_calls

    async def respond(self, service: Exposed, body: bytes, content_type: str) -> Reply:
        """Answer one POST to a service's path, always with status 200."""
        answer: Written | Failure
        try:
            method, args = messages.parse_call(body, content_type)
            answer = await _answer(service, method, args, self.batch_calls)
        except BadRequest as problem:
            fault = Fault(problem.code, problem.description)
            return Reply(messages.encode_response(fault), messages.CONTENT_TYPE)
        except Exception:
            logger.exception("the XML-RPC gateway failed")
            answer = InternalError()
        if isinstance(answer, Failure):
            return Reply(messages.encode_response(_fault(answer)), messages.CONTENT_TYPE, headers=headers_of(answer))
        return Reply(messages.encode_response(answer), messages.CONTENT_TYPE)


async def _answer(service: Exposed, method: str, args: list[Any], batch_calls: int) -> Written | Failure:
    if method == _MULTICALL:
        work = _multicall(service, args, batch_calls)
    elif method in _INTROSPECTION:
        work = _introspect(service, method, args)
    else:
        work = service.call(method, args, {})
    return await attempt(work, messages.encode_value)


async def _multicall(service: Exposed, args: list[Any], batch_calls: int) -> list[Any]:
    """Make all calls at once: for each an array with its value, or the struct of a fault."""
    if len(args) != 1 or not isinstance(args[0], list):
        raise InvalidArguments(f"{_MULTICALL} takes one array of calls")
    if len(args[0]) > batch_calls:
        raise InvalidArguments(f"{len(args[0])} calls are over the limit of {batch_calls}")
    answers = await together(_answer_one(service, call, batch_calls) for call in args[0])
    return [messages.fault_struct(_fault(answer)) if isinstance(answer, Failure) else [answer] for answer in answers]


async def _answer_one(service: Exposed, call: Any, batch_calls: int) -> Written | Failure:
    """Answer a call of several."""
    method, args = (call.get("methodName"), call.get("params", [])) if isinstance(call, dict) else (None, None)
    if not isinstance(method, str) or not isinstance(args, list):
        return InvalidArguments("a call is a struct of methodName, a string, and params, an array")
    if method == _MULTICALL:
        return InvalidArguments(f"{_MULTICALL} does not call itself")
    return await _answer(service, method, args, batch_calls)


def _fault(failure: Failure) -> Fault:
    return Fault(failure_code(failure), failure.description)


# Introspection, as xmlrpc-c.sourceforge.io/introspection.html has it.

_MULTICALL: Final = "system.multicall"


async def _introspect(service: Exposed, method: str, args: list[Any]) -> Any:
    """Answer by what the service says of itself."""
    function, takes = _INTROSPECTION[method]
    if len(args) != takes or not all(isinstance(arg, str) for arg in args):
        raise InvalidArguments(f"{method} takes {'the name of a method' if takes else 'nothing'}")
    described = _methods(await service.describe())
    if args and args[0] not in described:
        raise MethodUnavailable(f"{service.name!r} exports no method {args[0][:200]!r}")
    return function(described, *args)


def _methods(description: Any) -> dict[str, dict[str, Any]]:
    """The methods that a service offers to all, by name, and the gateway's own; of what makes no sense, nothing."""
    told = description.get("methods") if isinstance(description, dict) else None
    offered = [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []
    names = {each["name"]: each for each in offered if isinstance(each.get("name"), str) and not each.get("root")}
    return {**names, **_OWN}


def _list_methods(described: dict[str, dict[str, Any]]) -> list[str]:
    return sorted(described)


def _method_help(described: dict[str, dict[str, Any]], name: str) -> str:
    doc = described[name].get("doc")
    return doc if isinstance(doc, str) else ""


def _method_signature(described: dict[str, dict[str, Any]], name: str) -> list[list[str]] | str:
    method = described[name]
    parameters = method.get("parameters")
    if isinstance(parameters, list) and any(isinstance(each, dict) and each.get("schema") for each in parameters):
        return checked_signatures(method["returns"], parameters, method.get("definitions") or {})
    signature = method.get("signature")
    return signatures(signature) if isinstance(signature, str) else UNDEFINED


_INTROSPECTION: Final[dict[str, tuple[Callable[..., Any], int]]] = {
    "system.listMethods": (_list_methods, 0),
    "system.methodHelp": (_method_help, 1),
    "system.methodSignature": (_method_signature, 1),
}

_OWN: Final = {
    "system.listMethods": {"doc": "The names of the methods.", "signature": "() -> list"},
    "system.methodHelp": {"doc": "What a method says of itself.", "signature": "(name: str) -> str"},
    "system.methodSignature": {
        "doc": "The ways to call a method: arrays of the types of its result and of its arguments; or 'undef'.",
        "signature": "(name: str) -> list",
    },
    _MULTICALL: {
        "doc": "Make calls, structs of methodName and params, at once: for each an array with its value, or a fault.",
        "signature": "(calls: list) -> list",
    },
}
