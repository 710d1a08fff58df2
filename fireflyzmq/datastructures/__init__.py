"""Data structures: tables that a peer and the exchange both keep. Pure.

They know the values that are put into them only by hash and order, and nothing of what these mean.
"""
