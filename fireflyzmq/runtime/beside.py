"""The package of the exchange, found beside the library, and not through the search path.

There a program that is itself called exchange.py comes first. It knows where the package lies, and nothing of what is
in it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

COMMAND = "python -m fireflyzmq exchange"
"""What starts an exchange in whatever folder."""

_HOME = Path(__file__).resolve().parents[2] / "exchange"


def exchange_package() -> str:
    """The name under which the exchange's package is loaded: its own, unless another module has that."""
    home = _HOME / "__init__.py"
    for name in ("exchange", "fireflyzmq_exchange"):
        loaded = sys.modules.get(name)
        if loaded is None:
            spec = importlib.util.spec_from_file_location(name, home, submodule_search_locations=[str(_HOME)])
            if spec is None or spec.loader is None:
                break
            sys.modules[name] = module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return name
        if getattr(loaded, "__file__", None) and Path(str(loaded.__file__)).resolve() == home:
            return name
    raise ImportError(f"the package of the exchange is not at {_HOME}")


def tell_of_shadow(main: ModuleSpec) -> None:
    """Say that `python -m exchange` has run another program, when it has: `main` is what was run.

    It cannot be seen of a program that does not use the library, nor of a package that cannot be run.
    """
    if main.origin is None or Path(main.origin).resolve() == _HOME / "__main__.py":
        return
    if not {"exchange", "-mexchange"}.intersection(sys.orig_argv):  # a child of that program's, which has its name
        return
    told = f"fireflyzmq: `python -m exchange` runs {main.origin} here; `{COMMAND}` starts the exchange"
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # whoever imports the library is not to suffer from it
            print(told, file=sys.stderr, flush=True)
