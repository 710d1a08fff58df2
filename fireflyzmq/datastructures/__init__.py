"""Data structures: tables that machines keep, most of them a peer and the exchange alike. Pure.

They know the values that are put into them only by hash and order, and nothing of what these mean.
"""
