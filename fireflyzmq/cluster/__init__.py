"""The cluster: a file that says which nodes there are, the supervisor that runs them, and what a node is to its app.

It knows processes and what users of the library say. The command line stands on it; nothing below knows of it.
"""
