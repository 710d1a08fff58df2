"""The netport: a gateway through which programs that know nothing of ZeroMQ, such as game clients and devices, reach
services over TCP or WebSocket, and are reached.

It knows clients, their frames and sessions, and the API of services. It knows neither HTTP nor the other gateways.
"""
