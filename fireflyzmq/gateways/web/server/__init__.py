"""The web server: what all HTTP requests share, whatever gateway answers them.

Connections, limits, hosts, origins, users and the log of accesses. It knows no format of calls.
"""
