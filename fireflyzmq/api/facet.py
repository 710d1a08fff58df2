"""Facet: what each part of a service's vocabulary knows of its service: the core, which does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fireflyzmq.conventions.behind import NotBegun

if TYPE_CHECKING:
    from fireflyzmq.api.cores.service import ServiceCore


class Facet:
    """A part of `Service`: public methods that hand on to the core."""

    _fireflyzmq: ServiceCore = NotBegun("Service")  # type: ignore[assignment]
