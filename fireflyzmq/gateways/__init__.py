"""Gateways: how those outside reach services, over TCP, WebSocket and HTTP, and how people watch an exchange.

They are programs on top of what users say; nothing below knows of them.
"""
