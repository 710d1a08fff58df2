"""The exchange: the central process that services register with and calls go through.

`core/` decides, without a socket or a clock. Around it: `server.py` has the ROUTER, `probing.py` finds who died,
`operator.py` is the service named `exchange`, `daemon.py` and `__main__.py` are the process and its command.
"""
