"""Scrapes metrics each second, as Prometheus would: `metrics_scraper PORT ...`. Ends with an error when that fails."""

from __future__ import annotations

import sys
import time
import urllib.request
from typing import Final

from benchmarks.programs.measure import say

EVERY: Final = 1.0
"""Seconds."""


def main(ports: list[str]) -> None:
    """Scrape until killed."""
    due = time.monotonic()
    first = True
    while True:
        for port in ports:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                if b"fireflyzmq_calls_started_total" not in answer.read():
                    raise RuntimeError("these are not the metrics")
        if first:
            say({"ready": ["scraped"]})
            first = False
        due += EVERY
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main(sys.argv[1:])
