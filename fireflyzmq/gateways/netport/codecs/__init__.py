"""Codecs: the formats of frames between a netport and its clients. Pure.

They know bytes, commands and bodies; they know neither sockets nor sessions.
"""
