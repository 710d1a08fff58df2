"""Hooks: what a netport's owner, and services elsewhere, are told of sessions, and asked."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Protocol

from fireflyzmq.api.service import detached
from fireflyzmq.gateways.netport.attachments import Attachments, go_on
from fireflyzmq.gateways.netport.records import Attachment
from fireflyzmq.wire.binding import Binding

if TYPE_CHECKING:
    from fireflyzmq.api.cores.service import ServiceCore
    from fireflyzmq.gateways.netport.session import SessionCore
    from fireflyzmq.gateways.netport.shown import Session
    from fireflyzmq.gateways.netport.watchers import Watchers

logger = logging.getLogger(__name__)


class HookOwner(Protocol):
    """Who has the hooks: a netport as its users have it."""

    def doConnectionMade(self, session: Session, /) -> Any: ...
    def doConnectionLost(self, session: Session, reason: str, /) -> Any: ...
    def doAttachedLost(self, session: Session, key: str, binding: Binding, reason: str, /) -> Any: ...


class Hooks:
    """Calls the hooks of one netport, which may take so many seconds.

    What they raise is logged; they belong to no request.
    """

    def __init__(self, core: ServiceCore, owner: HookOwner, seconds: float, watchers: Watchers) -> None:
        self._core = core
        self._owner = owner
        self._seconds = seconds
        self._connection = core.connection
        self._watchers = watchers
        self.attachments = Attachments(self._connection, self._attached_lost)
        self._tasks: set[asyncio.Task[None]] = set()

    # Coming.

    def opened(self, session: SessionCore) -> None:
        """A client has come: ask whether it may."""
        try:
            result = self._owner.doConnectionMade(session.shown)
        except Exception:
            logger.exception("doConnectionMade of %s raised for %r", self._core.title, session)
            session.end("refused")
            return
        if inspect.isawaitable(result):
            session.intake.hold()
            task = self._run(self._admit(session, result))
            if session.closed:
                task.cancel()
            else:
                session.intake.begin(task)
                task.add_done_callback(session.intake.done)

    async def _admit(self, session: SessionCore, result: Awaitable[Any]) -> None:
        admitted = False
        try:
            async with asyncio.timeout(self._seconds):
                await result
            admitted = True
        except Exception:
            logger.exception("doConnectionMade of %s raised for %r", self._core.title, session)
        finally:
            if not admitted:
                session.end("refused")
            session.intake.release()

    # Going.

    def closed(self, session: SessionCore) -> None:
        """A session has ended: tell the hook, and the services that want to know."""
        with detached():
            attached = self.attachments.attached_to(session)
            self.attachments.drop(session)
            self._watchers.ended(session, attached)
            shown = session.shown
            self._core.hooks.run(
                lambda: self._owner.doConnectionLost(shown, session.reason),
                f"doConnectionLost of {self._core.title}",
            )

    # Another service in the place of one that has gone.

    def _attached_lost(self, session: SessionCore, key: str, binding: Binding, reason: str) -> None:
        attachment = session.attachments[key]
        try:
            result = self._owner.doAttachedLost(session.shown, key, binding, reason)
        except Exception:
            logger.exception("doAttachedLost of %s raised for %r", self._core.title, session)
            result = None
        if inspect.isawaitable(result):
            self._run(self._attach_again(session, key, attachment, binding, result))
        else:
            self._settle(session, key, attachment, binding, result)

    async def _attach_again(
        self, session: SessionCore, key: str, attachment: Attachment, lost: Binding, result: Awaitable[Any]
    ) -> None:
        binding = None
        try:
            async with asyncio.timeout(self._seconds):
                binding = await result
        except Exception:
            logger.exception("doAttachedLost of %s raised for %r", self._core.title, session)
        finally:
            self._settle(session, key, attachment, lost, binding)

    def _settle(self, session: SessionCore, key: str, attachment: Attachment, lost: Binding, binding: Any) -> None:
        if session.attachments.get(key) is not attachment:  # attached anew meanwhile, or ended
            return
        if isinstance(binding, Binding) and binding.address != lost.address:
            self.attachments.attach(session, key, binding)
        else:
            if binding is not None:
                logger.error("doAttachedLost of %s gave %r, not another binding", self._core.title, binding)
            go_on(attachment)

    def _run(self, coroutine: Any) -> asyncio.Task[None]:
        task = self._connection.loop.create_task(coroutine, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
