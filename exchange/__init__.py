"""The exchange: the central process that services register with and calls go through."""
