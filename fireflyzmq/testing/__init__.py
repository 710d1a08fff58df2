"""Tools for the tests of programs that use fireflyzmq.

`ExchangeProcess` is a real exchange on a free port. `Network` is an exchange and its peers in memory, with a clock
that tests move. `fireflyzmq.testing.fixtures` offers both to pytest.
"""

from fireflyzmq.testing.network import Network
from fireflyzmq.testing.processes import ExchangeProcess, PythonProcess

__all__ = ["ExchangeProcess", "Network", "PythonProcess"]
