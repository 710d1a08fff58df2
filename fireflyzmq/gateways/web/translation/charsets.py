"""Charsets: a body of XML to its text. Pure.

The list is our own: among Python's codecs are some that take forever, and Python remembers each name that it was ever
asked for. What is not in it: UTF-7, ISO-2022 and HZ, in which markup can be written so that whoever looks at the bytes
does not see it; UTF-32 and EBCDIC, in which nobody sends XML.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from fireflyzmq.gateways.web.translation.rpc_errors import INVALID_CHARACTER, UNSUPPORTED_ENCODING, BadRequest

CHARSETS: Final = {
    **dict.fromkeys(("utf-8", "utf8"), "utf-8-sig"),
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    **dict.fromkeys(("us-ascii", "ascii"), "ascii"),
    **{
        f"{prefix}-{part}": f"iso8859-{part}"
        for part in (*range(1, 12), 13, 14, 15, 16)
        for prefix in ("iso-8859", "iso8859", "iso_8859")
    },
    **dict.fromkeys(("latin1", "latin-1"), "iso8859-1"),
    **dict.fromkeys(("latin9", "latin-9"), "iso8859-15"),
    **{f"{prefix}{page}": f"cp{page}" for page in (874, *range(1250, 1259)) for prefix in ("windows-", "cp")},
    "tis-620": "cp874",
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    "ibm866": "cp866",
    "cp866": "cp866",
    "macintosh": "mac-roman",
    **dict.fromkeys(("shift_jis", "shift-jis", "x-sjis", "sjis", "windows-31j", "cp932"), "cp932"),
    "euc-jp": "euc_jp",
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "windows-949", "cp949"), "cp949"),
    **dict.fromkeys(("gb2312", "gbk", "cp936", "windows-936", "gb18030"), "gb18030"),
    **dict.fromkeys(("big5", "big5-hkscs", "cp950"), "big5hkscs"),
}
"""Python's codec for each, by its name in small letters. What grew has the larger one, as in the Encoding standard:
what is said to be GB 2312 is read as GB 18030.
"""

_parameter = re.compile(r""";\s*charset\s*=\s*["']?([^\s;"']+)""", re.IGNORECASE)
_declared = re.compile(rb"""\s*<\?xml[^>]{0,100}?\sencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")

_LITTLE_ENDIAN: Final = b"<\0"
_BIG_ENDIAN: Final = b"\0<"


def decode(body: bytes, content_type: str) -> str:
    """A body's text; its byte order mark, the content type and the XML declaration say its charset (RFC 7303).

    BadRequest for a charset that is not known, and for bytes that it lacks.
    """
    charset = _charset(body, content_type)
    codec = CHARSETS.get(charset.lower())
    if codec is None:
        raise BadRequest(UNSUPPORTED_ENCODING, f"the charset {charset[:40]!r} is not known here")
    if codec == "utf-16" and not _has_utf16_mark(body):  # XML begins with "<"; otherwise RFC 2781, 4.3
        codec = "utf-16-le" if body.startswith(_LITTLE_ENDIAN) else "utf-16-be"
    try:
        return body.decode(codec)
    except UnicodeDecodeError as error:
        raise BadRequest(INVALID_CHARACTER, f"not {charset}: {error.reason} at byte {error.start}") from error


def _charset(body: bytes, content_type: str) -> str:
    if body.startswith(codecs.BOM_UTF8):
        return "utf-8"
    if _has_utf16_mark(body):
        return "utf-16"
    parameter = _parameter.search(content_type)
    if parameter is not None:
        return parameter[1]
    if body.startswith((_LITTLE_ENDIAN, _BIG_ENDIAN)):  # XML 1.0, appendix F: no mark, and no byte of UTF-8 is zero
        return "utf-16"
    declared = _declared.match(body)
    return declared[1].decode("ascii") if declared is not None else "utf-8"


def _has_utf16_mark(body: bytes) -> bool:
    return body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
