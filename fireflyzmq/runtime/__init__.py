"""The runtime: what gives a peer its event loop, its threads, its socket and its time.

It knows asyncio and ZeroMQ, and decides nothing about calls. Of what users say it has what is made of a loop and of
time: `Dispatcher`, `ResponseId`. It knows neither services nor endpoints.
"""
