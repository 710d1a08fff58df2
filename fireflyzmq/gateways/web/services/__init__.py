"""What the web gateways expose: which services, and how a request calls one.

It knows services and presence, and of HTTP what a request says about its call: user, address, time, trace. It knows no
format and no server.
"""
