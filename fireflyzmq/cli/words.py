"""Words: what stands in a command line, read as a call's arguments. Pure."""

from __future__ import annotations

import keyword
from collections.abc import Iterable
from typing import Any

from fireflyzmq.gateways.web.translation.json_values import BadJson, loads


def read_value(word: str) -> Any:
    """A word's value: what it is as JSON, otherwise the word itself."""
    try:
        return loads(word.encode())
    except (BadJson, UnicodeEncodeError):
        return word


def read_arguments(words: Iterable[str]) -> tuple[list[Any], dict[str, Any]]:
    """A call's arguments and keywords; `key=value` is a keyword. ValueError for one that is given twice.

    A text that looks like a keyword is written as JSON: '"a=b"'.
    """
    arguments: list[Any] = []
    keywords: dict[str, Any] = {}
    for word in words:
        name, found, value = word.partition("=")
        if found and name.isidentifier() and not keyword.iskeyword(name):
            if name in keywords:
                raise ValueError(f"{name}= is given twice")
            keywords[name] = read_value(value)
        else:
            arguments.append(read_value(word))
    return arguments, keywords
