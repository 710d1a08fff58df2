"""The command line: what people see, ask and steer an exchange and its services with, at a terminal or in scripts.

It knows what users of the library say, and click and rich, which the extra `cli` brings. Nothing below knows of it.
`programs.py` runs what needs no extra: the exchange, gateways, the console.
"""
