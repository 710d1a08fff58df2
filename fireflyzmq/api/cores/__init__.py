"""Cores: what stands behind public objects, where no name of a user's class can meet ours. They do what services do.

They know connections and the peer's machine, of a user's object its hooks alone, and none of the words above them.
"""
