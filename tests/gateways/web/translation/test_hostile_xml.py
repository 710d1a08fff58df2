"""Bodies that mean harm or are no XML-RPC: each gets a fault of the protocol, soon, and calls nothing."""

from __future__ import annotations

import decimal
import pathlib
import random
import time
import xmlrpc.client
from collections.abc import Callable
from typing import Any, cast

import pytest

import fireflyzmq
from fireflyzmq.gateways.web.translation import charsets
from fireflyzmq.gateways.web.translation.plain_values import MAX_DEPTH
from fireflyzmq.gateways.web.translation.xmlrpc_reader import MAX_ELEMENTS
from fireflyzmq.xmlrpc import RpcGateway
from tests.gateways.web.exposing import Functions, ask

NOT_WELL_FORMED, UNKNOWN_CHARSET, WRONG_CHARACTER, NO_CALL = -32700, -32701, -32702, -32600
HEAD, TAIL = "<methodCall><methodName>echo</methodName><params><param>", "</param></params></methodCall>"


def request(value: str, head: str = "") -> str:
    return f"{head}{HEAD}{value}{TAIL}"


def ask_for(body: str | bytes, content_type: str = "text/xml") -> tuple[Any, Functions]:
    """What comes of a body: a fault, or the value that was echoed."""
    exposed = Functions(echo=lambda *values: values)
    reply = ask(RpcGateway("web"), exposed, body.encode() if isinstance(body, str) else body, content_type)
    try:
        [values], _ = cast(tuple[tuple[Any], Any], xmlrpc.client.loads(reply.body))
        return values[0], exposed
    except xmlrpc.client.Fault as fault:
        return fault, exposed


def refused(body: str | bytes, content_type: str = "text/xml") -> tuple[int, str]:
    """The fault that a body gets."""
    fault, exposed = ask_for(body, content_type)
    assert isinstance(fault, xmlrpc.client.Fault), fault
    assert exposed.calls == []
    assert len(fault.faultString) < 500
    return fault.faultCode, fault.faultString


# Document types and entities.

LAUGHS = "".join(f'<!ENTITY l{at} "{f"&l{at - 1};" * 10}">' for at in range(1, 10))
DECLARATIONS = {
    "a billion laughs": (f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]>', "<value>&l9;</value>"),
    "quadratic growth": (f'<!DOCTYPE a [<!ENTITY a "{"a" * 100_000}">]>', f"<value>{'&a;' * 10_000}</value>"),
    "an external entity": ('<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>', "<value>&e;</value>"),
    "an external document type": ('<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd">', "<value/>"),
    "a public document type": ('<!DOCTYPE a PUBLIC "-//A//B" "http://127.0.0.1:1/a.dtd">', "<value/>"),
    "a parameter entity": ('<!DOCTYPE a [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>', "<value/>"),
    "an empty document type": ("<!DOCTYPE methodCall>", "<value/>"),
    "default attributes": ('<!DOCTYPE a [<!ATTLIST value a CDATA "x">]>', "<value/>"),
}


@pytest.mark.parametrize("declaration", DECLARATIONS)
def test_document_types_are_refused_before_anything_is_expanded(declaration: str) -> None:
    head, value = DECLARATIONS[declaration]
    began = time.process_time()
    assert refused(request(value, head)) == (NO_CALL, "no XML-RPC: document types and entities are not taken")
    assert time.process_time() - began < 1


def test_an_entity_that_nobody_declared_is_not_well_formed() -> None:
    code, text = refused(request("<value>&e;</value>"))
    assert code == NOT_WELL_FORMED and "undefined entity" in text


# Too much.


def arrays(depth: int) -> str:
    return "<value><array><data>" * depth + "<value><int>1</int></value>" + "</data></array></value>" * depth


def structs(depth: int) -> str:
    return "<value><struct><member><name>a</name>" * depth + "<value/>" + "</member></struct></value>" * depth


@pytest.mark.parametrize("write", [arrays, structs])
def test_values_may_be_so_deep_and_no_deeper(write: Callable[[int], str]) -> None:
    value, exposed = ask_for(request(write(MAX_DEPTH)))
    assert len(exposed.calls) == 1  # what it echoes is an array, and so one level too deep to go back
    assert isinstance(value, xmlrpc.client.Fault) and value.faultCode == 52
    for depth in (MAX_DEPTH + 1, 10_000):
        assert refused(request(write(depth))) == (
            NO_CALL,
            f"no XML-RPC: values stand in each other more than {MAX_DEPTH} deep",
        )


def test_there_may_be_so_many_elements_and_no_more() -> None:
    most = (MAX_ELEMENTS - 7) // 2
    value, _ = ask_for(request(f"<value><array><data>{'<value><nil/></value>' * most}</data></array></value>"))
    assert value == [None] * most
    for values in ("<value/>" * MAX_ELEMENTS, "<value/>" * (5 * MAX_ELEMENTS)):
        body = request(f"<value><array><data>{values}</data></array></value>")
        assert refused(body) == (NO_CALL, f"no XML-RPC: more than {MAX_ELEMENTS} elements")


@pytest.mark.parametrize("tag", ["int", "double", "boolean", "nil", "dateTime.iso8601"])
@pytest.mark.parametrize("text", ["1" * 100_000 + "x", " " * 100_000 + "x", "1." + "1" * 100_000 + "e", "1e" * 50_000])
def test_a_long_text_that_is_no_value_is_refused_soon(tag: str, text: str) -> None:
    began = time.process_time()
    assert refused(request(f"<value><{tag}>{text}</{tag}></value>"))[0] == NO_CALL
    assert time.process_time() - began < 1


def test_the_longest_doubles_that_are_exact_are_taken() -> None:
    smallest = format(decimal.Decimal.from_float(5e-324), "f")
    assert ask_for(request(f"<value><double>{smallest}</double></value>"))[0] == 5e-324


@pytest.mark.parametrize("text", ["1", "1.", "1.5", ".5", "+1.5e3", " -1.e-3 "])
def test_doubles_are_read_as_they_are_written(text: str) -> None:
    assert ask_for(request(f"<value><double>{text}</double></value>"))[0] == float(text)


def test_unknown_elements_without_end_are_refused_at_the_first() -> None:
    assert refused("<a>" * 1_000_000) == (NO_CALL, "no XML-RPC: <a> may not stand here")


@pytest.mark.parametrize(
    "value",
    [
        "<int>9223372036854775808</int>",
        "<i8>-9223372036854775809</i8>",
        f"<int>{'9' * 100_000}</int>",
        "<int>1_0</int>",
        "<int>1.0</int>",
        "<int/>",
        "<int>\N{ARABIC-INDIC DIGIT ONE}</int>",
        "<biginteger>1</biginteger>",
        "<double>nan</double>",
        "<double>Infinity</double>",
        "<double>1e999</double>",
        "<double>1_0.0</double>",
        "<double>0x1p1</double>",
        "<double/>",
        "<boolean>true</boolean>",
        "<boolean>2</boolean>",
        "<boolean/>",
        "<base64>a</base64>",
        "<base64>A*P8=</base64>",
        "<base64>\xe9</base64>",
        "<dateTime.iso8601/>",
        "<dateTime.iso8601>yesterday</dateTime.iso8601>",
        "<dateTime.iso8601>19981317T14:08:55</dateTime.iso8601>",
        "<dateTime.iso8601>19980717</dateTime.iso8601>",
        "<bigdecimal>1</bigdecimal>",
        "<unknown/>",
        "<value/>",
        "<params/>",
        "<fault/>",
        "<int>1</int><int>2</int>",
        "<nil/><nil/>",
        "<int>1<int>2</int></int>",
        "text<int>1</int>",
        "<int>1</int>text",
        "<string>a<b/></string>",
        "<nil>text</nil>",
        "<array/>",
        "<array><data/><data/></array>",
        "<array>text<data/></array>",
        "<array><value/></array>",
        "<array><data><int>1</int></data></array>",
        "<array><data>text</data></array>",
        "<struct><member/></struct>",
        "<struct><member><name>a</name></member></struct>",
        "<struct><member><value/></member></struct>",
        "<struct><member><value/><name>a</name></member></struct>",
        "<struct><member><name>a</name><value/><value/></member></struct>",
        "<struct><member><name>a</name><name>b</name></member></struct>",
        "<struct><name>a</name><value/></struct>",
        "<struct><member><name><value/></name><value/></member></struct>",
        "<struct><member><name>a</name><value/></member><member><name>a</name><value/></member></struct>",
    ],
)
def test_what_is_no_value_is_refused(value: str) -> None:
    code, text = refused(request(f"<value>{value}</value>"))
    assert code == NO_CALL and text.startswith("no XML-RPC: ")


@pytest.mark.parametrize(
    "body",
    [
        "<methodResponse><params><param><value/></param></params></methodResponse>",
        "<methodResponse><fault><value><struct/></value></fault></methodResponse>",
        "<methodCall/>",
        "<methodCall><params/></methodCall>",
        "<methodCall><params/><methodName>echo</methodName></methodCall>",
        "<methodCall><methodName>echo</methodName><methodName>echo</methodName></methodCall>",
        "<methodCall><methodName>echo</methodName><params/><params/></methodCall>",
        "<methodCall><methodName>echo</methodName><value/></methodCall>",
        "<methodCall><methodName><a/></methodName></methodCall>",
        "<methodCall><methodName>echo</methodName><params><value/></params></methodCall>",
        "<methodCall><methodName>echo</methodName><params><param/></params></methodCall>",
        "<methodCall>text<methodName>echo</methodName></methodCall>",
        request("<value/><value/>"),
        request("text"),
        "<params/>",
        "<fault><value><struct/></value></fault>",
        "<html></html>",
    ],
)
def test_what_is_no_call_is_refused(body: str) -> None:
    code, text = refused(body)
    assert code == NO_CALL and text.startswith("no XML-RPC: ")


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "text",
        "<methodCall>",
        "<methodCall></methodCal>",
        request("<value/>") + "<more/>",
        request("<value/>") + "more",
        " " + request("<value/>", "<?xml version='1.0'?>"),
        request("<value>\x00</value>"),
        request("<value>&#0;</value>"),
        request("<value>&#xD800;</value>"),
        request("<value a='1' a='2'/>"),
        request("<value a=1/>"),
        request("<value>&</value>"),
        request("<value/>", "<?xml version='1.0' standalone='maybe'?>"),
    ],
)
def test_what_is_not_well_formed_is_refused(body: str) -> None:
    code, text = refused(body)
    assert code == NOT_WELL_FORMED and text.startswith("the XML is not well-formed: ")


# Charsets.

TEXT = "caf\xe9 \u20ac"


def declared(charset: str, text: str = TEXT) -> str:
    return request(f"<value>{text}</value>", f"<?xml version='1.0' encoding=\"{charset}\"?>")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (declared("utf-8").encode(), "text/xml"),
        (declared("UTF-8").encode(), ""),
        (declared("nonsense").encode(), 'application/xml; Charset="UTF-8"; a=b'),
        (request(f"<value>{TEXT}</value>").encode(), "text/xml"),
        (declared("iso-8859-1").encode("utf-8-sig"), "text/xml; charset=us-ascii"),
        (declared("utf-16").encode("utf-16"), "text/xml"),
        (declared("utf-8").encode("utf-16-be"), "text/xml;charset=utf-16BE"),
        (declared("windows-1252").encode("cp1252"), "text/xml"),
        (declared("utf-8").encode("cp1252"), "text/xml; charset='windows-1252'"),
    ],
)
def test_the_mark_the_content_type_and_the_declaration_say_the_charset(body: bytes, content_type: str) -> None:
    assert ask_for(body, content_type)[0] == TEXT


SAMPLES = {
    **dict.fromkeys(("utf-8", "utf-16"), "caf\xe9 \u20ac \u65e5\u672c \U0001f600"),
    "iso-8859-1": "caf\xe9",
    "iso-8859-2": "\u017b\xf3\u0142w",
    "iso-8859-5": "\u043f\u0440\u0438\u0432\u0435\u0442",
    "iso-8859-7": "\u03b5\u03bb\u03bb\u03ac\u03b4\u03b1",
    "iso-8859-8": "\u05e9\u05dc\u05d5\u05dd",
    "iso-8859-9": "\u0130zmir",
    "iso-8859-15": "c\u0153ur \u20ac",
    "windows-1250": "\u017b\xf3\u0142w \u20ac",
    "windows-1251": "\u043f\u0440\u0438\u0432\u0435\u0442 \u20ac",
    "windows-1252": "caf\xe9 \u20ac",
    "windows-874": "\u0e44\u0e17\u0e22",
    "koi8-r": "\u043f\u0440\u0438\u0432\u0435\u0442",
    "koi8-u": "\u043f\u0440\u0438\u0432\u0456\u0442",
    "ibm866": "\u043f\u0440\u0438\u0432\u0435\u0442",
    "macintosh": "caf\xe9",
    "shift_jis": "\u65e5\u672c\u8868",  # the last one's second byte is a backslash
    "euc-jp": "\u65e5\u672c\u8868",
    "euc-kr": "\ud55c\uad6d",
    "gb2312": "\u4e2d\u6587",
    "gbk": "\u4e2d\u6587\u9f98",
    "gb18030": "\u4e2d\u6587\U0001f600",
    "big5": "\u4e2d\u6587\u8a31",
}


@pytest.mark.parametrize("charset", SAMPLES)
def test_the_common_charsets_are_read(charset: str) -> None:
    text, codec = SAMPLES[charset], {"windows-874": "cp874", "macintosh": "mac-roman"}.get(charset, charset)
    for named in (charset, charset.upper()):
        assert ask_for(declared(named, text).encode(codec), "text/xml")[0] == text
        assert ask_for(declared("nonsense", text).encode(codec), f"text/xml; charset={named}")[0] == text


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("content_type", ["text/xml", "text/xml; charset=utf-16"])
def test_utf_16_needs_no_mark(codec: str, content_type: str) -> None:
    assert ask_for(declared("utf-16").encode(codec), content_type)[0] == TEXT


def test_what_is_documented_is_read_and_each_of_it_quickly() -> None:
    documented = (pathlib.Path(fireflyzmq.__file__).parents[1] / "docs/http.md").read_text("utf-8")
    (line,) = (line for line in documented.splitlines() if line.startswith("Charsets that are read: "))
    names = {each.strip(" .`") for each in line.partition(": ")[2].split(",")}
    assert names and names <= set(charsets.CHARSETS)
    assert {charsets.CHARSETS[name] for name in names} == set(charsets.CHARSETS.values())
    hostile = bytes(random.Random(1).randbytes(1 << 20))
    for codec in set(charsets.CHARSETS.values()):
        assert codec.startswith("utf") or bytes(range(128)).decode(codec) == bytes(range(128)).decode("ascii")
        began = time.perf_counter()
        hostile.decode(codec, "replace")
        assert time.perf_counter() - began < 2


def test_one_byte_for_each_character_may_be_meant() -> None:
    body = declared("ISO-8859-1", "caf\xe9").encode("latin-1")
    assert ask_for(body)[0] == "caf\xe9"
    assert refused(body, "text/xml; charset=utf-8")[0] == WRONG_CHARACTER
    assert refused(body, "text/xml; charset=us-ascii")[0] == WRONG_CHARACTER


@pytest.mark.parametrize("charset", ["utf-7", "idna", "zlib", "unicode_escape", "punycode", "utf-8-sig"])
def test_a_charset_that_is_not_known_is_refused(charset: str) -> None:
    assert refused(request("<value/>"), f"text/xml; charset={charset}")[0] == UNKNOWN_CHARSET
    assert refused(declared(charset)) == (UNKNOWN_CHARSET, f"the charset {charset!r} is not known here")


def test_a_charset_with_an_endless_name_is_refused() -> None:
    assert refused(request("<value/>"), f"text/xml; charset={'x' * 5000}")[0] == UNKNOWN_CHARSET


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (request("<value>\xff</value>").encode("latin-1"), "text/xml"),
        (b"\xef\xbb\xbf\xff", "text/xml"),
        (b"\xff\xfe<", "text/xml"),
        (request("<value>?</value>").encode().replace(b"?", b"\xed\xa0\x80"), "text/xml"),
        (b"\xd8\x00" * 2, "text/xml; charset=utf-16be"),
    ],
)
def test_bytes_that_a_charset_lacks_are_refused(body: bytes, content_type: str) -> None:
    assert refused(body, content_type)[0] == WRONG_CHARACTER
