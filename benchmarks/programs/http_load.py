"""Requests over HTTP by aiohttp's client, where there is no wrk: `http_load`.

A question is one line of JSON: {"url", "body", "type", "connections", "seconds"}; the answer has "rate" (requests/s)
and "latencies" (median and 99th percentile, in microseconds).
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from typing import Any

import aiohttp

from benchmarks.programs.measure import run, say


async def load(question: dict[str, Any]) -> dict[str, Any]:
    """Make one request after the other on each connection."""
    clock = time.perf_counter
    took: list[float] = []
    start = clock()
    end = start + question["seconds"]
    connector = aiohttp.TCPConnector(limit=question["connections"])
    headers = {"Content-Type": question["type"]}

    async def ask(session: aiohttp.ClientSession) -> None:
        while (began := clock()) < end:
            async with session.post(question["url"], data=question["body"], headers=headers) as answer:
                if answer.status != 200:
                    raise RuntimeError(f"answered with {answer.status}: {await answer.text()}")
                await answer.read()
            took.append(clock() - began)

    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(ask(session) for _ in range(question["connections"])))
    took.sort()
    spent = {"median": statistics.median(took) * 1e6, "p99": took[len(took) * 99 // 100] * 1e6}
    return {"rate": len(took) / (clock() - start), "latencies": spent}


async def main() -> None:
    """Answer questions until standard input ends."""
    say({"ready": ["load"]})
    while line := await asyncio.to_thread(sys.stdin.readline):
        say(await load(json.loads(line)))


if __name__ == "__main__":
    run(main())
