"""Binding: what the directory knows of one service instance, as a value that travels in calls."""

from __future__ import annotations

import hashlib
from typing import Any


class Binding:
    """One service instance: `name` ("" for a nameless one), `address`, `groups` (sorted names) and `user`.

    Two bindings are equal when their addresses are: the address names the instance for its lifetime, while
    groups come and go. `user` is what the exchange authenticated, None when it asks nobody.
    """

    __slots__ = ("address", "groups", "name", "user")

    def __init__(self, name: str, address: str, groups: tuple[str, ...] = (), user: str | None = None) -> None:
        self.name = name
        self.address = address
        self.groups = groups
        self.user = user

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Binding) and other.address == self.address

    def __hash__(self) -> int:
        return hash(self.address)

    def __repr__(self) -> str:
        return f"<Binding {self.name or 'nameless'} {self.address[:8]}>"

    def to_fields(self) -> list[Any]:
        """The array that stands for this binding on the wire: name, address, groups, user."""
        return [self.name, self.address, list(self.groups), self.user]

    @classmethod
    def from_fields(cls, fields: Any) -> Binding:
        """Make a binding of its wire array; ValueError when the array is not one."""
        if not isinstance(fields, list) or len(fields) < 4:
            raise ValueError("a binding is an array of name, address, groups, user")
        name, address, groups, user = fields[:4]
        if not (isinstance(name, str) and isinstance(address, str) and isinstance(groups, list)):
            raise ValueError("a binding's fields have the wrong types")
        if not all(isinstance(group, str) for group in groups) or not (user is None or isinstance(user, str)):
            raise ValueError("a binding's groups and user must be texts")
        return cls(name, address, tuple(groups), user)

    @classmethod
    def from_entry(cls, fields: list[Any]) -> Binding:
        """Make the binding of an entry of the directory, as the exchange shows it; ValueError when it is none."""
        _, _, name, address, groups, user = fields[:6]
        return cls.from_fields([name, address, sorted(groups), user])


def address_of(secret: bytes) -> str:
    """The address that a secret proves: the first 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(b"fireflyzmq address" + secret).hexdigest()[:32]
