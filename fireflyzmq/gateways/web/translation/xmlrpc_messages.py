"""XML-RPC's messages: a body to a call, and a value or a fault to a body. Pure; it knows nothing of services.

The standard library marshals, behind a reader of our own that refuses what could hurt.

    boolean, string, nil, array     both ways as they are
    int, i1, i2, i4, i8             integers of up to 64 bits; <i8> is said of those that need more than 32
    double                          floats; NaN and the infinities are refused both ways
    base64                          bytes
    dateTime.iso8601                a datetime, aware when the text has an offset. Said in whole seconds, without an
                                    offset, which no standard client reads: of an aware one the time in UTC
    struct                          a dictionary whose keys are texts
    said of other values            what `plain_values` says

Sources: xmlrpc.com/spec; Apache's extensions for nil and i8, whose prefix `ex:` is understood and never said.
"""

from __future__ import annotations

import datetime
import math
import re
import xmlrpc.client
from collections.abc import Callable
from typing import Any, Final
from xml.parsers import expat

from fireflyzmq.gateways.web.translation import charsets
from fireflyzmq.gateways.web.translation.plain_values import Leaves, Unsayable, plain
from fireflyzmq.gateways.web.translation.rpc_errors import PARSE_ERROR, BadRequest, text_told
from fireflyzmq.gateways.web.translation.xmlrpc_reader import DocumentReader, fits

CONTENT_TYPE: Final = "text/xml"
"""Exactly so: netsvc's own clients take nothing else. The encoding stands in the XML declaration."""

Fault = xmlrpc.client.Fault


class Written(str):
    """A value as XML-RPC has written it, which may stand in others."""


def parse_call(body: bytes, content_type: str) -> tuple[str, list[Any]]:
    """The method and the arguments that a body asks for; BadRequest when it asks for nothing."""
    reader = DocumentReader()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.declaration
    parser.EntityDeclHandler = reader.declaration
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(charsets.decode(body, content_type).encode("utf-8"), True)
    except expat.ExpatError as error:
        raise BadRequest(PARSE_ERROR, f"the XML is not well-formed: {error}") from error
    return reader.call()


def encode_value(value: Any) -> Written:
    """A value as XML-RPC writes it; Unsayable when it has no form there."""
    return Written(_write(plain(value, _LEAVES)))


def encode_response(answer: Written | Fault) -> bytes:
    """The response with a value, or with a fault."""
    if isinstance(answer, Fault):
        inner = f"<fault>\n{_write(fault_struct(answer))}</fault>\n"
    else:
        inner = f"<params>\n<param>\n{answer}</param>\n</params>\n"
    return f"<?xml version='1.0' encoding='utf-8'?>\n<methodResponse>\n{inner}</methodResponse>\n".encode()


def fault_struct(fault: Fault) -> dict[str, Any]:
    """What stands for a fault; characters of its text that XML lacks are replaced."""
    text = _not_in_xml.sub("\N{REPLACEMENT CHARACTER}", text_told(fault.faultString))
    return {"faultCode": fault.faultCode, "faultString": text}


# Writing.

_not_in_xml = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WHOLE: Final = ("<params>\n<param>\n", "</param>\n</params>\n")


def _write(value: Any) -> str:
    whole = _Writer(allow_none=True).dumps((value,))
    return whole.removeprefix(_WHOLE[0]).removesuffix(_WHOLE[1])


def _escape(text: str) -> str:
    """What stands for a text; readers of XML take a carriage return for a line's end unless it is escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def _write_integer(writer: xmlrpc.client.Marshaller, value: int, write: Callable[[str], object]) -> None:
    tag = "int" if fits(value, 31) else "i8"
    write(f"<value><{tag}>{value}</{tag}></value>\n")


def _write_as_it_is(writer: xmlrpc.client.Marshaller, value: str, write: Callable[[str], object]) -> None:
    write(value)


class _Writer(xmlrpc.client.Marshaller):
    """The standard library's writer of values, for plain ones."""

    dispatch = {
        **xmlrpc.client.Marshaller.dispatch,
        int: _write_integer,
        str: lambda writer, value, write: writer.dump_unicode(value, write, _escape),
        dict: lambda writer, value, write: writer.dump_struct(value, write, _escape),
        Written: _write_as_it_is,
    }


def _check_integer(value: int) -> int:
    if not fits(value, 63):
        raise Unsayable("an integer has more than 64 bits")
    return value


def _check_float(value: float) -> float:
    if not math.isfinite(value):
        raise Unsayable(f"{value} is no number of XML-RPC")
    return value


def _check_text(value: str) -> str:
    found = _not_in_xml.search(value)
    if found is not None:
        raise Unsayable(f"XML has no character {found[0]!r}; bytes may hold it")
    return value


def _without_offset(value: datetime.datetime) -> datetime.datetime:
    try:
        return value if value.utcoffset() is None else value.astimezone(datetime.UTC).replace(tzinfo=None)
    except OverflowError as error:
        raise Unsayable(f"{value} is no time in UTC") from error


def _as_it_is(value: Any) -> Any:
    return value


_LEAVES: Final[Leaves] = {
    bool: _as_it_is,
    bytes: _as_it_is,
    type(None): _as_it_is,
    Written: _as_it_is,
    int: _check_integer,
    float: _check_float,
    str: _check_text,
    datetime.datetime: _without_offset,
}
