"""What the machine that runs the tests may lack."""

from __future__ import annotations

import os
import shutil
import socket

import pytest

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str:
    """The path of a browser. Where there is none the test is left out, but for CI, where it has to be."""
    path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if path is None:
        reason = "no chromium found (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}; CI is set, so that browser tests must run")
        pytest.skip(f"browser tests: {reason}")
    return path


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


has_ipv6 = _has_ipv6()
ipv6 = pytest.mark.skipif(not has_ipv6, reason="this machine has no ::1")
