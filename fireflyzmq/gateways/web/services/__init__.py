"""What the web gateways expose: which services, and how a request calls one.

It knows services and presence; it knows nothing of HTTP or of any format.
"""
