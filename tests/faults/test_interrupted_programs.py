"""Programs in which signal handlers and finalizers make calls and publish, wherever the program just is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fireflyzmq.testing import ExchangeProcess, PythonProcess

PROGRAM = """
import asyncio, gc, json, signal, sys
import fireflyzmq as netsvc

SECONDS = 3.0
how = sys.argv[1]


class Counted(netsvc.Service):
    def __init__(self, peer):
        super().__init__("counted", exchange=peer)
        self.exportMethod(lambda values: values, "echo")
        self.exportMethod(self.note)
        self.noted = []

    def note(self, number, values):
        assert values == (number, str(number)), (number, values)
        self.noted.append(number)


class Thing:
    "It says something when it is collected, in a cycle, so whenever the collector runs."

    def __init__(self):
        self.me = self

    def __del__(self):
        speak()


async def main():
    global speak
    async with netsvc.connect() as there, netsvc.connect() as here:
        counted = Counted(there)
        await counted.ready()
        endpoint = here.serviceEndPoint("counted", wait=5, timeout=20)
        oneway = here.serviceEndPoint("counted", wait=5, timeout=20, oneway=True)
        publisher = netsvc.Service("news", exchange=here)
        await publisher.ready()
        reports = []
        there.monitorReports(lambda report: reports.append((report.content, report.lost)), "news", ">")
        assert await endpoint.echo(["first"]) == ["first"]
        said = [0]
        published = []

        def publish(content):
            publisher.publishReport("news", content)
            published.append(content)

        def speak():
            said[0] += 1
            number = said[0]
            oneway.note(number, (number, str(number)))
            publish(["in the middle", number, (number,)])

        if how == "signals":
            signal.signal(signal.SIGALRM, lambda *_: speak())
            signal.setitimer(signal.ITIMER_REAL, 0.0007, 0.0007)
        elif how == "finalizers":
            gc.set_threshold(50, 2, 2)
        loop = asyncio.get_running_loop()
        until = loop.time() + SECONDS
        calls = wrong = 0
        while loop.time() < until:
            values = [["o", (calls, number), {"key": number}] for number in range(20)]
            publish(["plain", calls, (calls,)])
            if how == "finalizers":
                for _ in range(5):
                    Thing()
            answers = await asyncio.gather(*(endpoint.echo(value) for value in values))
            calls += len(answers)
            wrong += answers != values
        signal.setitimer(signal.ITIMER_REAL, 0)
        speak_was, Thing.__del__ = speak, lambda self: None
        gc.collect()
        await endpoint.echo("last")
        publisher.publishReport("news", "last")
        while not reports or reports[-1][0] != "last":
            await asyncio.sleep(0.01)
        contents = [content for content, _ in reports[:-1]]
        print("outcome", json.dumps({
            "calls": calls, "wrong": wrong, "said": said[0],
            "noted": sorted(counted.noted) == list(range(1, said[0] + 1)),
            "reports": len(contents), "missing": len(published) - len(contents),
            "the same": sorted(map(repr, contents)) == sorted(map(repr, published)),
            "lost": sum(lost or 0 for _, lost in reports),
        }), flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["signals", "finalizers"])
def test_what_is_said_from_the_middle_arrives_and_harms_nothing(how: str, tmp_path: Path) -> None:
    program = tmp_path / "interrupted.py"
    program.write_text(PROGRAM)
    with (
        ExchangeProcess() as exchange,
        PythonProcess([str(program), how], exchange.environment) as process,
    ):
        line = process.wait_for_line("outcome", 60)
    outcome = json.loads(line.removeprefix("outcome "))
    assert outcome["said"] > 100 and outcome["calls"] > 100, outcome
    assert outcome["wrong"] == 0 and outcome["noted"] and outcome["the same"], outcome
    assert outcome["missing"] == outcome["lost"] == 0, outcome
    assert not [line for line in process.lines if "Traceback" in line or "bad item" in line], process.lines[-20:]
