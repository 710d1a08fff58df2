"""The web gateway: programs that speak HTTP reach services, by XML-RPC, JSON-RPC and plain JSON.

It knows HTTP and its formats, and the API of services. It knows nothing of netports.
"""
