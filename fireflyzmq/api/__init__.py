"""The API: the words that users say. Most of them are methods of `Service`, in a file for each topic.

They know what users may give, and hand on to the cores, which do it. They know neither sockets nor loops.
"""
