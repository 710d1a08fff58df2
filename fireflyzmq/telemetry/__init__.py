"""Telemetry: what is counted and logged, in the forms that other systems read.

It reads what registers itself as a source. It knows nothing of who these are.
"""
