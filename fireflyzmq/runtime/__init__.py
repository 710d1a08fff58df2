"""The runtime: what gives a peer its event loop, its threads, its socket and its time.

It knows asyncio and ZeroMQ; it decides nothing about calls, and knows none of the words that users say.
"""
