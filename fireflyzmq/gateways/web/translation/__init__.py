"""Translation: bodies of HTTP requests into calls, values and failures into replies. Pure.

It knows XML-RPC, JSON-RPC, JSON and OpenAPI; it knows neither HTTP servers nor services.
"""
