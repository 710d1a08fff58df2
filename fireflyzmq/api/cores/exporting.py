"""OwnMethods: the methods that one service exports, with the threads of those that run in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fireflyzmq.api.cores.identity import Identity
    from fireflyzmq.peer.methods import Method


class OwnMethods:
    """What others may call. `validate` says whether arguments are checked where nothing else is said."""

    def __init__(self, service: Identity, validate: bool) -> None:
        self.validate = validate
        self._service = service

    def export(
        self,
        method: Callable[..., Any],
        name: str | None = None,
        threads: int = 0,
        limit: int | None = None,
        root: str | None = None,
        validate: bool | None = None,
    ) -> None:
        """Let others call a function; ValueError for an illegal name, TypeError for what cannot be checked."""
        self._service.check_open()
        methods = self._service.local.methods
        former = methods.find(str(name or getattr(method, "__name__", "")), root)
        checked = self.validate if validate is None else validate
        methods.export(method, name, threads, limit, root, checked)
        self._drop_pools([former] if former is not None else [])

    def unexport(self, name: str) -> None:
        """Take an exported method back; KeyError when there is none of that name."""
        self._drop_pools(self._service.local.methods.unexport(name))

    def drop_all_pools(self) -> None:
        """End the threads of all methods."""
        self._drop_pools(self._service.local.methods.all())

    def _drop_pools(self, methods: Iterable[Method]) -> None:
        for method in methods:
            if method.threads:
                self._service.connection.runner.drop_pool(method)
