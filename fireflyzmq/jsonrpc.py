"""JSON-RPC 2.0: the gateway for programs that call services by it, with batches, notifications and named parameters.

A path names a service; its methods are called by their names. In `translation`, beside the web gateway, are the codes
of errors (`jsonrpc_messages`) and what becomes of values that JSON lacks (`json_values`).
"""

from __future__ import annotations

import logging
from typing import Any

from fireflyzmq.errors import Failure, MethodUnavailable
from fireflyzmq.gateways.web.services.attempts import BATCH_CALLS, attempt, together
from fireflyzmq.gateways.web.services.gateway import Exposed, Reply
from fireflyzmq.gateways.web.translation import jsonrpc_messages as messages
from fireflyzmq.gateways.web.translation.failures import headers_of
from fireflyzmq.gateways.web.translation.json_values import dumps
from fireflyzmq.gateways.web.translation.jsonrpc_messages import Invalid, RpcRequest
from fireflyzmq.gateways.web.translation.rpc_errors import INTERNAL_ERROR, INVALID_REQUEST, BadRequest

logger = logging.getLogger(__name__)


class RpcGateway:
    """Offers services of a selection by JSON-RPC 2.0; a batch may have up to `batch_calls` calls, made at once."""

    def __init__(self, selection: Any, batch_calls: int = BATCH_CALLS) -> None:
        self.selection = selection
        self.batch_calls = batch_calls

    async def respond(self, service: Exposed, body: bytes, content_type: str) -> Reply:
        """Answer one POST to a service's path: with status 200, or 204 when there were notifications alone.

        The content type is not looked at: JSON is UTF-8 whatever it says.
        """
        headers: dict[str, str] = {}
        try:
            answer, headers = await _respond(service, body, self.batch_calls)
        except BadRequest as problem:
            answer = messages.encode_problem(problem.code, problem.description)
        except Exception:
            logger.exception("the JSON-RPC gateway failed")
            answer = messages.encode_problem(INTERNAL_ERROR, "")
        return Reply(answer, messages.CONTENT_TYPE, 200 if answer else 204, headers)


async def _respond(service: Exposed, body: bytes, batch_calls: int) -> tuple[bytes, dict[str, str]]:
    """The responses, and the headers of a single one."""
    requests, batch = messages.parse(body, batch_calls)
    if not batch:
        return await _answer(service, requests[0])
    responses = await together(_answer(service, request) for request in requests)
    said = [response for response, _ in responses if response]
    return messages.encode_batch(said) if said else b"", {}


async def _answer(service: Exposed, request: RpcRequest | Invalid) -> tuple[bytes, dict[str, str]]:
    """The response to one request, nothing for a notification; and its headers."""
    if isinstance(request, Invalid):
        return messages.encode_problem(INVALID_REQUEST, request.problem, request.id), {}
    outcome = await attempt(_call(service, request), dumps)
    if request.notification:
        if isinstance(outcome, Failure):
            logger.info("a notification of %.200r failed: %.500r", request.method, outcome)
        return b"", {}
    if isinstance(outcome, Failure):
        return messages.encode_failure(outcome, request.id), headers_of(outcome)
    return messages.encode_result(outcome, request.id), {}


async def _call(service: Exposed, request: RpcRequest) -> Any:
    if request.method.startswith("rpc."):
        raise MethodUnavailable(f"{service.name!r} exports no method {request.method[:200]!r}")
    return await service.call(request.method, request.args, request.kwargs)
