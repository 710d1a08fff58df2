"""Commands, one in each file, in which `command` is the one. A file is loaded when its command is used.

They know the API and what `asking` and `output` give them; none knows another.
"""
