"""Hooks: what a netport's owner, and services elsewhere, are told of sessions, and asked."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final

from fireflyzmq.calls import Destination
from fireflyzmq.netport.attachments import Attachment, Attachments, go_on
from fireflyzmq.netport.clients import Clients
from fireflyzmq.netport.session import Session
from fireflyzmq.service import detached
from fireflyzmq.timers import run_logged
from fireflyzmq.wire.binding import Binding
from fireflyzmq.wire.commands import BY_ADDRESS

if TYPE_CHECKING:
    from fireflyzmq.netport.port import NetPort

logger = logging.getLogger(__name__)

SESSION_CLOSED: Final = "session.closed"
"""The subject of the report that says that a session has ended."""

_TELL_SECONDS: Final = 30.0
"""How long a service may be away that is to be told of a session's end."""


class Hooks:
    """Calls the hooks of one netport. What they raise is logged; they belong to no request."""

    def __init__(self, netport: NetPort, clients: Clients) -> None:
        self._netport = netport
        self._clients = clients
        self._connection = netport._connection
        self.attachments = Attachments(self._connection, self._attached_lost)
        self._tasks: set[asyncio.Task[None]] = set()

    # Coming.

    def opened(self, session: Session) -> None:
        """A client has come: ask whether it may."""
        try:
            result = self._netport.doConnectionMade(session)
        except Exception:
            logger.exception("doConnectionMade of %r raised for %r", self._netport, session)
            session.end("refused")
            return
        if inspect.isawaitable(result):
            session.hold()
            task = self._run(self._admit(session, result))
            if session.closed:
                task.cancel()
            else:
                session.begin(task)
                task.add_done_callback(session.done)

    async def _admit(self, session: Session, result: Awaitable[Any]) -> None:
        admitted = False
        try:
            async with asyncio.timeout(self._clients.limits.request_seconds):
                await result
            admitted = True
        except Exception:
            logger.exception("doConnectionMade of %r raised for %r", self._netport, session)
        finally:
            if not admitted:
                session.end("refused")
            session.release()

    # Going.

    def closed(self, session: Session) -> None:
        """A session has ended: tell the hook, and the services that want to know."""
        with detached():
            watchers = dict.fromkeys((*session.watchers, *self.attachments.attached_to(session)))
            self.attachments.drop(session)
            if watchers and not self._netport._local.closed:
                content = {"session": session.id, "user": session.user, "reason": session.reason}
                for binding in watchers:
                    self._tell(binding, content)
            run_logged(
                lambda: self._netport.doConnectionLost(session, session.reason),
                f"doConnectionLost of {self._netport!r}",
                self._connection.loop,
            )

    def _tell(self, binding: Binding, content: Any) -> None:
        """Send a report to one service, as `sendReport` does; should there be no connection now, when there is one."""
        target = self._connection.watch(BY_ADDRESS, binding.address)
        destination = Destination(self._netport._local, target, wait=_TELL_SECONDS, oneway=True)
        self._connection.call(destination, "system.report", (SESSION_CLOSED, content), {})

    # Another service in the place of one that has gone.

    def _attached_lost(self, session: Session, key: str, binding: Binding, reason: str) -> None:
        attachment = session.attachments[key]
        try:
            result = self._netport.doAttachedLost(session, key, binding, reason)
        except Exception:
            logger.exception("doAttachedLost of %r raised for %r", self._netport, session)
            result = None
        if inspect.isawaitable(result):
            self._run(self._attach_again(session, key, attachment, binding, result))
        else:
            self._settle(session, key, attachment, binding, result)

    async def _attach_again(
        self, session: Session, key: str, attachment: Attachment, lost: Binding, result: Awaitable[Any]
    ) -> None:
        binding = None
        try:
            async with asyncio.timeout(self._clients.limits.request_seconds):
                binding = await result
        except Exception:
            logger.exception("doAttachedLost of %r raised for %r", self._netport, session)
        finally:
            self._settle(session, key, attachment, lost, binding)

    def _settle(self, session: Session, key: str, attachment: Attachment, lost: Binding, binding: Any) -> None:
        if session.attachments.get(key) is not attachment:  # attached anew meanwhile, or ended
            return
        if isinstance(binding, Binding) and binding.address != lost.address:
            self.attachments.attach(session, key, binding)
        else:
            if binding is not None:
                logger.error("doAttachedLost of %r gave %r, not another binding", self._netport, binding)
            go_on(attachment)

    def _run(self, coroutine: Any) -> asyncio.Task[None]:
        task = self._connection.loop.create_task(coroutine, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
