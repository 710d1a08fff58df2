"""The library: services, endpoints and the dispatcher."""
