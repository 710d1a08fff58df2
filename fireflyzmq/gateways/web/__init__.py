"""The web gateway: programs that speak HTTP reach services, by XML-RPC, JSON-RPC and plain JSON."""
