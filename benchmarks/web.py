"""The HTTP gateway beside servers without services behind them, in rounds that interleave them.

wrk makes the requests, where that is installed; otherwise aiohttp's client, which is slower than what it asks. A path
and a body make a measurement: plain JSON is compared with a handler of aiohttp's, XML-RPC with the standard library's
server, which answers one connection at a time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import re
import shutil
import subprocess
import tempfile
import xmlrpc.client
from collections.abc import Iterator
from typing import Final

from benchmarks.calls import Results, Sample, ratios_of, summarise
from benchmarks.child import START_SECONDS, Child, python
from benchmarks.plan import Plan
from benchmarks.systems import FIREFLY, ready, start_exchange

AIOHTTP: Final = "aiohttp, bare handler"
XMLRPC: Final = "SimpleXMLRPCServer"


@dataclasses.dataclass(frozen=True)
class Question:
    """What is posted."""

    name: str
    path: str
    body: str
    content_type: str
    peer: str


QUESTIONS: Final = (
    Question("POST /services/math/multiply", "/services/math/multiply", "[6, 7]", "application/json", AIOHTTP),
    Question("XML-RPC", "/xmlrpc/math", xmlrpc.client.dumps((6, 7), "multiply"), "text/xml", XMLRPC),
)
CONNECTIONS: Final = (1, 50)


def http_measurement(question: Question, connections: int) -> str:
    """The name of what is measured."""
    return f"{question.name}, {connections} connection{'s' if connections > 1 else ''}"


def measure_http(plan: Plan) -> Results:
    """Requests/s and latencies (µs), and ratios of both: of the median latency with one connection."""
    with contextlib.ExitStack() as stack:
        ports = dict(_start(stack))
        loader = _load_by_wrk if shutil.which("wrk") is not None else _load_by_aiohttp
        samples: dict[str, dict[str, list[Sample]]] = {}
        for number in range(plan.http_rounds + 1):
            for question in QUESTIONS:
                for connections in CONNECTIONS:
                    for system in (FIREFLY, question.peer):
                        seconds = plan.http_seconds if number else plan.warm_up
                        sample = loader(ports[system], question, connections, seconds)
                        if number:  # the first round warms up
                            name = http_measurement(question, connections)
                            samples.setdefault(name, {}).setdefault(system, []).append(sample)
    return {
        "rounds": plan.http_rounds,
        "load": "wrk" if loader is _load_by_wrk else "aiohttp's client",
        "figures": {name: {each: summarise(them) for each, them in by.items()} for name, by in samples.items()},
        "ratios": {
            name: ratios_of(by_system, _latency if name.endswith(" 1 connection") else _rate)
            for name, by_system in samples.items()
        },
    }


def _start(stack: contextlib.ExitStack) -> Iterator[tuple[str, int]]:
    """The gateway with an exchange and a service, and the others; each with its port."""
    _, address = start_exchange(stack)
    ready(stack, "firefly_service", address)
    command = python("fireflyzmq", "gateway", "http", "--listen", "127.0.0.1:0", "--exchange", address)
    gateway = stack.enter_context(Child([*command, "--log-level", "warning"]))
    yield FIREFLY, int(gateway.read_line().rpartition(":")[2])
    for system, name in ((AIOHTTP, "aiohttp"), (XMLRPC, "xmlrpc")):
        _, (port,) = ready(stack, "http_servers", name)
        yield system, int(port)


_UNITS: Final = {"us": 1.0, "ms": 1e3, "s": 1e6}


def _load_by_wrk(port: int, question: Question, connections: int, seconds: float) -> Sample:
    """Let wrk make requests; RuntimeError when not all are answered with 200."""
    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder) / "post.lua"
        script.write_text(
            f'wrk.method = "POST"\nwrk.body = [==[{question.body}]==]\n'
            f'wrk.headers["Content-Type"] = "{question.content_type}"\n'
        )
        # wrk takes whole seconds, and gives a connection that is answered one last request
        duration = f"{max(1, round(seconds))}s"
        command = ["wrk", "-t", "1", "-c", str(connections), "-d", duration, "--latency", "-s", str(script)]
        url = f"http://127.0.0.1:{port}{question.path}"
        output = subprocess.run(
            [*command, url], capture_output=True, text=True, check=True, timeout=START_SECONDS + 60
        )
    if "Non-2xx" in output.stdout:
        raise RuntimeError(f"{question.name} at {port} is not answered with 200:\n{output.stdout}")
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", output.stdout)
    quantiles = {
        share: float(number) * _UNITS[unit]
        for share, number, unit in re.findall(r"(\d+)%\s+([0-9.]+)(us|ms|s)", output.stdout)
    }
    if rate is None:
        raise RuntimeError(f"wrk said:\n{output.stdout}{output.stderr}")
    return {"rate": float(rate[1]), "latencies": {"median": quantiles["50"], "p99": quantiles["99"]}}


def _load_by_aiohttp(port: int, question: Question, connections: int, seconds: float) -> Sample:
    """Make requests in a process of its own."""
    with contextlib.ExitStack() as stack:
        loader, _ = ready(stack, "http_load")
        url = f"http://127.0.0.1:{port}{question.path}"
        asked = {"url": url, "body": question.body, "type": question.content_type}
        loader.ask({**asked, "connections": connections, "seconds": seconds})
        return loader.answer(START_SECONDS + seconds)


def _rate(sample: Sample) -> float:
    return float(sample["rate"])


def _latency(sample: Sample) -> float:
    return float(sample["latencies"]["median"])
