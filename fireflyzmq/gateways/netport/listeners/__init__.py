"""Listeners: where the connections of a netport come from, TCP and WebSocket.

They know sockets and bytes. What the bytes mean, and what becomes of them, is the session that each is given.
"""
