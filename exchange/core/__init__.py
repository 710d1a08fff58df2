"""The core: what the exchange makes of messages. Peers, directory, routes, reports. Pure.

It takes messages and the time, and returns what is to be sent. It knows neither sockets nor the process it runs in.
"""
