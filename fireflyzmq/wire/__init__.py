"""Wire version 1: what the exchange and its peers say to each other, and how values are written.

docs/protocol.md is the specification; these modules are the one implementation that both sides share.
"""
