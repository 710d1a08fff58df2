"""The peer: the machine behind one connection to the exchange, without a socket, a clock, a loop or a thread.

It knows what is said on the wire and what the directory shows; frames and the time come in, frames go out. It knows
neither how they travel nor how users say it. `machine.py` composes the parts, `records.py` is what they remember.

Calls, at their caller: calls, dispatch, placement, outcomes, gather. Requests, at their service: serving, arguments,
methods, answers, at_work, postponed, returned, reserved, statistics. Reports: publications, subscriptions, reports.
What is known of others: mirror, watches, presence. The peer's own services: local, registrations, naming,
memberships, leaving. What all that travels on: terms, flow, channels, incoming, endings, salvage. And tracing.
"""
