"""Programs that the tests of faults run in processes of their own."""

from __future__ import annotations

WORKER = """
import asyncio, logging, os, sys, threading, time
import fireflyzmq as netsvc
logging.basicConfig(level="WARNING")
dispatcher = netsvc.Dispatcher()
exchange = netsvc.Exchange()
exchange.connect()
worker = netsvc.Service(sys.argv[1] if len(sys.argv) > 1 else "worker")
served = []
cancelled = []

@worker.exportMethod
def pid():
    return os.getpid()

@worker.exportMethod
def echo(value):
    return value

@worker.exportMethod
def size(value):
    return len(value)

@worker.exportMethod
def busy(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return "done"

@worker.exportMethod
def count(token):
    served.append(token)
    return len(served)

@worker.exportMethod
def tokens():
    return served

@worker.exportMethod
async def linger(token, seconds=600.0):
    served.append(token)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        cancelled.append((token, time.time()))
        raise
    return token

@worker.exportMethod
def cancellations():
    return cancelled

@worker.exportMethod
async def relay(names, token):
    served.append((token, worker.currentRequest().remaining))
    await asyncio.sleep(0.1)  # so that the next in line has less time left by more than clocks can differ
    try:
        if len(names) > 1:
            return await worker.serviceEndPoint(names[0]).relay(names[1:], token)
        return await worker.serviceEndPoint(names[0]).linger(token)
    except asyncio.CancelledError:
        cancelled.append((token, time.time()))
        raise

async def announce():
    await worker.ready()
    print("ready", flush=True)

worker.scheduleAction(announce)
dispatcher.run()
print("stopped", flush=True)
"""
