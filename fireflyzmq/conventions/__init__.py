"""Conventions: how this library does small things wherever it does them: limits, hooks, optional packages.

It knows Python, and nothing of services, messages or exchanges.
"""
