"""The version of the library and of the exchange, which are released together."""

VERSION = "0.1.0"
