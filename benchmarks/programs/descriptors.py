"""Descriptors: how many files a process may have open, which is often fewer than the connections that are measured."""

from __future__ import annotations

import resource


def raise_descriptors() -> None:
    """Raise this process's limit as far as it may be raised without privileges."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
