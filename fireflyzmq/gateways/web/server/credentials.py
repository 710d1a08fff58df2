"""Credentials: who a request over HTTP comes from, and Users, a file of those who may come.

Each line of the file is one of these; `python -m fireflyzmq user` writes them. Empty lines, and those that begin with
`#`, are ignored.

    basic ada scrypt:<salt, hex>:<key, hex>       a password
    bearer ada sha256:<digest, hex>               a token, which is long and random, so a plain digest keeps it
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import hmac
import pathlib
import secrets
from typing import Final

from fireflyzmq.conventions.behind import NotBegun, put_behind
from fireflyzmq.wire.names import name_problem

_SCRYPT: Final = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}
_TOKEN_BYTES: Final = 32


@dataclasses.dataclass(frozen=True)
class Credentials:
    """What a request has shown: of `scheme` "basic" (login and secret), "bearer" (secret), or "" (nothing)."""

    scheme: str = ""
    login: str = ""
    secret: str = dataclasses.field(default="", repr=False)


def credentials_of(header: str | None) -> Credentials | None:
    """The credentials in an Authorization header (RFC 7617, RFC 6750); None when it makes no sense."""
    if header is None:
        return Credentials()
    if not header.isascii():
        return None
    scheme, _, rest = header.strip().partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer" and rest:
        return Credentials("bearer", secret=rest)
    if scheme.lower() == "basic":
        try:
            login, colon, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return Credentials("basic", login, password) if colon else None
    return None


class Users:
    """Who may come, with passwords and tokens. Neither is kept."""

    _fireflyzmq: _Digests = NotBegun("Users")  # type: ignore[assignment]

    def __init__(self) -> None:
        put_behind(self, _Digests())

    @classmethod
    def from_file(cls, path: str | pathlib.Path) -> Users:
        """Read a file; ValueError that names the line that makes no sense, OSError when there is no such file."""
        digests = _Digests()
        for number, line in enumerate(pathlib.Path(path).read_text("utf-8").splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                try:
                    digests.add(line.split())
                except ValueError as error:
                    raise ValueError(f"{path}, line {number}: {error}") from None
        users = cls()
        put_behind(users, digests)
        return users

    def __call__(self, credentials: Credentials) -> str | None:
        """The user whom credentials belong to, None for nobody. A password takes some 50 ms of CPU time."""
        return self._fireflyzmq.user_of(credentials)


class Tokens:
    """Whose tokens are right. What is looked up is a digest, so how long that takes says nothing of a token."""

    def __init__(self) -> None:
        self._users: dict[bytes, str] = {}

    def add(self, digest: bytes, user: str) -> None:
        """A token of this digest is the user's."""
        self._users[digest] = user

    def user_of(self, credentials: Credentials) -> str | None:
        """The user whom a token belongs to, None for nobody, and for what is no token."""
        return self._users.get(token_digest(credentials.secret)) if credentials.scheme == "bearer" else None


class _Digests:
    """What is kept of passwords and tokens."""

    def __init__(self) -> None:
        self._passwords: dict[str, tuple[bytes, bytes]] = {}
        self._tokens = Tokens()
        self._nobody = secrets.token_bytes(16), secrets.token_bytes(32)

    def add(self, fields: list[str]) -> None:
        if len(fields) != 3:
            raise ValueError("a line is a scheme, a user, and a secret's digest")
        scheme, user, digest = fields
        problem = name_problem(user, "user")
        if problem is not None:
            raise ValueError(problem)
        method, *parts = digest.split(":")
        if (scheme, method, len(parts)) == ("basic", "scrypt", 2):
            self._passwords[user] = bytes.fromhex(parts[0]), bytes.fromhex(parts[1])
        elif (scheme, method, len(parts)) == ("bearer", "sha256", 1):
            self._tokens.add(bytes.fromhex(parts[0]), user)
        else:
            raise ValueError(f"unknown scheme or digest: {scheme} {method}")

    def user_of(self, credentials: Credentials) -> str | None:
        if credentials.scheme != "basic":
            return self._tokens.user_of(credentials)
        salt, key = self._passwords.get(credentials.login, self._nobody)  # as slow for users who do not exist
        right = hmac.compare_digest(hashlib.scrypt(credentials.secret.encode(), salt=salt, **_SCRYPT), key)
        return credentials.login if right else None


def token_digest(token: str) -> bytes:
    """What is kept of a token: it is long and random, so nobody finds it by its digest."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def password_line(user: str, password: str) -> str:
    """The line of a users' file for a password; ValueError for an illegal user."""
    problem = name_problem(user, "user")
    if problem is not None:
        raise ValueError(problem)
    salt = secrets.token_bytes(16)
    return f"basic {user} scrypt:{salt.hex()}:{hashlib.scrypt(password.encode(), salt=salt, **_SCRYPT).hex()}"


def token_line(user: str) -> tuple[str, str]:
    """A new token, and the line of a users' file for it; ValueError for an illegal user."""
    problem = name_problem(user, "user")
    if problem is not None:
        raise ValueError(problem)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    return token, f"bearer {user} sha256:{token_digest(token).hex()}"
