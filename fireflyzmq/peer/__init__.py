"""The peer: the machine behind one connection to the exchange, without a socket, a clock, a loop or a thread.

It knows what is said on the wire and what the directory shows; frames and the time come in, frames go out. It knows
neither how they travel nor how users say it.
"""
