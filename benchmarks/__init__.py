"""Measurements of fireflyzmq: whole systems side by side with peers, its pure cores, and what it costs to have it."""
