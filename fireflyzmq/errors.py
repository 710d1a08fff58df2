"""Failures: why a call ended without a value.

    Failure                        raise Failure(code, description, details) to fail a caller on purpose
    |- ServiceUnavailable      46  nobody of that name or address is there
    |- RequestTimeout          47  the deadline came first
    |- ResponseEncoding        52  the method's result does not travel
    |- RequestDecoding         54  the arguments did not decode at the service
    |- MethodUnavailable       55  the service has no such method
    |- InvalidArguments        56  the arguments do not fit the method's signature
    |- ApplicationFailure      57  the method raised an exception
    |- ServiceWithdrawn        57  the service went while the call was in flight; it may have run
    |- RequestEncoding         60  the arguments do not travel
    |- Overloaded              61  a queue or a limit is full; `retry_after` says when to try again
    |- NotAuthorised           62  the caller may not do this
    |- MessageTooLarge         63  over the limit of one message
    |- RequestCancelled        64  the caller cancelled
    |- ExchangeLost            65  no connection to the exchange; the call may have run if it was in flight
    |- RegistrationRefused     66  the exchange did not take a service's registration
    '- ResponseLost            67  the method ran, but its answer could not be kept until its caller had room for it

Codes up to 59 are OSE netsvc's, for gateways and logs; on the wire the kind (the class's name) decides.
"""

from __future__ import annotations

from typing import Any, ClassVar

_LONGEST_HINT = 3600.0
"""Seconds; a hint that is longer, negative, or no number at all is not taken for one."""

_LEAST_CODE, _MOST_CODE = -(1 << 63), (1 << 64) - 1
_LONGEST_KIND = 200
_LONGEST_TEXT = 10_000
_LONGEST_ORIGIN = 1000

ORIGIN = "fireflyzmq"
"""The origin of failures that the library made; an application's failure has its service's name."""


class Failure(Exception):
    """A call's failure: `code`, `description`, `details` (a value that travels), `origin`, and of which call.

    `service`, `method` and `id` name the call at its caller; they are "" and None on a failure that no call
    has yet. `kind` is the name of the class that was raised, which this process may not have: what arrives of a
    kind that is none of the library's is a plain Failure. `origin` says who made it: ORIGIN, or a service.
    """

    code: int = 0
    description: str = "Failure"
    details: Any = None
    origin: str = ""
    service: str = ""
    method: str = ""
    id: int | None = None  # a subclass may never call this class's __init__
    default_description: ClassVar[str] = "Failure"
    shows_details: ClassVar[bool] = True
    _kind: str = ""

    def __init__(self, code: int = 0, description: str = "", details: Any = None, origin: str = "") -> None:
        super().__init__(code, description, details)
        self.code = code
        self.description = description or self.default_description
        self.details = details
        self.origin = origin
        self.service = ""
        self.method = ""
        self.id: int | None = None

    @property
    def kind(self) -> str:
        """The name of the failure's class, here or where it was raised: it is what the wire carries."""
        return self._kind or type(self).__name__

    def __str__(self) -> str:
        empty = self.details is None or (isinstance(self.details, (str, dict)) and not self.details)
        details = f" ({self.details})" if self.shows_details and not empty else ""
        return f"{call_of(self)}{self.description}{details} [{self.kind} {self.code}]"

    def __repr__(self) -> str:
        return f"<{self.kind} {self.code} {self.description!r}>"

    def __reduce__(self) -> Any:
        return (
            _rebuild,
            (self.kind, self.code, self.description, self.details, self.origin),
            self.__dict__.copy(),
        )


class _LibraryFailure(Failure):
    """A failure with a code of its own: made of a description, optional details and an origin."""

    def __init__(self, description: str = "", details: Any = None, origin: str = ORIGIN) -> None:
        super().__init__(type(self).code, description, details, origin)


class ServiceUnavailable(_LibraryFailure):
    """Nobody of that name or address is there."""

    code = 46
    default_description = "Service Unavailable"


class RequestTimeout(_LibraryFailure):
    """The deadline came before the answer."""

    code = 47
    default_description = "Request Timeout"


class ResponseEncoding(_LibraryFailure):
    """The method's result does not travel."""

    code = 52
    default_description = "Response Encoding Failure"


class RequestDecoding(_LibraryFailure):
    """The arguments did not decode at the service."""

    code = 54
    default_description = "Request Decoding Failure"


class MethodUnavailable(_LibraryFailure):
    """The service has no such method."""

    code = 55
    default_description = "Method Unavailable"


class InvalidArguments(_LibraryFailure):
    """The arguments do not fit the method's signature; the method did not run."""

    code = 56
    default_description = "Invalid Arguments"


class ApplicationFailure(_LibraryFailure):
    """The method raised an exception: `details` has its `type` and `message`, in debug mode its `traceback`."""

    code = 57
    default_description = "Application Failure"
    shows_details = False  # the description says the same


class ServiceWithdrawn(_LibraryFailure):
    """The service went while the call was in flight; whether it ran is not known, so it is never sent again."""

    code = 57
    default_description = "Service Withdrawn"


class RequestEncoding(_LibraryFailure):
    """The arguments do not travel; nothing was sent."""

    code = 60
    default_description = "Request Encoding Failure"


class Overloaded(_LibraryFailure):
    """A queue or a limit was full, and the call did not run; `retry_after` (seconds) says when to try again."""

    code = 61
    default_description = "Overloaded"

    @property
    def retry_after(self) -> float:
        """Seconds to wait before another attempt has a chance."""
        hint = self.details.get("retry_after") if isinstance(self.details, dict) else None
        return float(hint) if isinstance(hint, (int, float)) and 0 <= hint <= _LONGEST_HINT else 0.1


class NotAuthorised(_LibraryFailure):
    """The caller may not do this."""

    code = 62
    default_description = "Not Authorised"


class MessageTooLarge(_LibraryFailure):
    """Over the limit of one message; the sender's side refuses before anything is sent."""

    code = 63
    default_description = "Message Too Large"


class RequestCancelled(_LibraryFailure):
    """The caller cancelled the call."""

    code = 64
    default_description = "Request Cancelled"


class ExchangeLost(_LibraryFailure):
    """There is no connection to the exchange; a call that was in flight may have run."""

    code = 65
    default_description = "Exchange Lost"


class RegistrationRefused(_LibraryFailure):
    """The exchange did not take a service's registration; the description says why."""

    code = 66
    default_description = "Registration Refused"


class ResponseLost(_LibraryFailure):
    """The method ran, but too many bytes of answers wait already for callers that do not read, or not fast enough."""

    code = 67
    default_description = "Response Lost"


KINDS: dict[str, type[_LibraryFailure]] = {
    kind.__name__: kind
    for kind in (
        ServiceUnavailable,
        RequestTimeout,
        ResponseEncoding,
        RequestDecoding,
        MethodUnavailable,
        InvalidArguments,
        ApplicationFailure,
        ServiceWithdrawn,
        RequestEncoding,
        Overloaded,
        NotAuthorised,
        MessageTooLarge,
        RequestCancelled,
        ExchangeLost,
        RegistrationRefused,
        ResponseLost,
    )
}


CALLERS_OWN = frozenset(
    {"ServiceUnavailable", "RequestTimeout", "ServiceWithdrawn", "RequestEncoding", "ExchangeLost"}
)
"""Kinds that the library makes at the caller alone: from a service they are its own word about something else."""


def counted_kind(failure: Failure) -> str:
    """The kind under which a failure is counted: one of KINDS, or "Failure" for all that programs made up."""
    kind = kind_of(failure)
    return kind if kind in KINDS else "Failure"


def failure_to_fields(failure: Failure) -> list[Any]:
    """What the wire carries of a failure: kind, code, description, origin, details.

    All but the details are of their types, whatever a program made of the failure. Raises nothing.
    """
    code = _attribute(failure, "code")
    return [
        kind_of(failure),
        int.__pos__(code) if isinstance(code, int) and _LEAST_CODE <= code <= _MOST_CODE else 0,
        _text(_attribute(failure, "description")),
        _text(_attribute(failure, "origin"), _LONGEST_ORIGIN),
        _attribute(failure, "details"),
    ]


def kind_of(failure: Failure) -> str:
    """A failure's kind; the name of its class when a program made something else of that. Raises nothing."""
    kind = _attribute(failure, "kind")
    if isinstance(kind, str) and 0 < len(kind) <= _LONGEST_KIND:
        return _text(str.__str__(kind))
    return _text(type(failure).__name__, _LONGEST_KIND)


def call_of(failure: Failure) -> str:
    """Which call a failure has ended, as texts begin with it: `math.multiply: `; "" when there is none."""
    service, method = _attribute(failure, "service"), _attribute(failure, "method")
    return f"{_text(service, _LONGEST_KIND)}.{_text(method, _LONGEST_KIND)}: " if method else ""


def _text(value: object, longest: int = _LONGEST_TEXT) -> str:
    """Any object as a text that can be sent, even one whose `__str__` fails."""
    try:
        return str(value)[:longest].encode("utf-8", "replace").decode("utf-8")
    except Exception as error:
        return f"<{type(value).__name__} whose text cannot be had: {type(error).__name__}>"


def _attribute(failure: Failure, name: str) -> Any:
    try:
        return getattr(failure, name)
    except Exception:  # a property of a program's class
        return None


def failure_from_fields(kind: str, code: int, description: str, origin: str, details: Any) -> Failure:
    """Make a failure of what the wire carried; one of an unknown kind is a plain Failure that says that kind."""
    known = KINDS.get(kind)
    if known is not None:
        return known(description, details, origin)
    failure = Failure(code, description, details, origin)
    failure._kind = kind[:_LONGEST_KIND]
    return failure


def _rebuild(kind: str, code: int, description: str, details: Any, origin: str) -> Failure:
    return failure_from_fields(kind, code, description, origin, details)
