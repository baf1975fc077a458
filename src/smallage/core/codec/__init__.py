"""Values ⇄ bytes. The only file that reads or writes what stores keep as payloads, rows, results and notes.

    payload   msgpack [args, kwargs, extras], trailing empties left out
    row       msgpack array (positional arguments), map (keyword arguments) or `ROW` ext (both)
    result    msgpack value, or `MARK` ext [state, meta] for an end without a value (Ignore)
    note      msgpack [state, meta]: progress, or RETRY with its error
    error     msgpack [module, type, args, message, traceback, extra]

What JSON has travels as itself; datetime, date, time, timedelta, Decimal, UUID and large integers travel as ext types
of the closed table below. A msgpack ext is a type of its own, so data of a user can never be mistaken for one.
Tuples and sets become arrays, enums their value, data classes and models maps; the task's annotations turn them back.

Refused on both sides: NaN and infinities, nesting beyond `MAX_DEPTH`, integers beyond 4,300 digits, broken Unicode.
"""

from smallage.core.codec.failures import (
    CARRIED,
    MAX_MESSAGE,
    MAX_TRACEBACK,
    ErrorData,
    decode_error,
    encode_error,
)
from smallage.core.codec.payloads import decode_payload, decode_row, encode_payload, encode_row
from smallage.core.codec.plain import (
    BIGINT,
    DATE,
    DATETIME,
    DECIMAL,
    MAX_DEPTH,
    MAX_INT_BYTES,
    TIME,
    TIMEDELTA,
    UUID_,
)
from smallage.core.codec.results import Marked, decode_note, decode_result, encode_mark, encode_note, encode_result
from smallage.core.codec.squeezed import WORTH, squeeze_payload, squeeze_result
from smallage.core.codec.values import MARK, ROW, ZIPPED, decode_value, encode_value

__all__ = [
    "BIGINT",
    "CARRIED",
    "DATE",
    "DATETIME",
    "DECIMAL",
    "MARK",
    "MAX_DEPTH",
    "MAX_INT_BYTES",
    "MAX_MESSAGE",
    "MAX_TRACEBACK",
    "ROW",
    "TIME",
    "TIMEDELTA",
    "UUID_",
    "WORTH",
    "ZIPPED",
    "ErrorData",
    "Marked",
    "decode_error",
    "decode_note",
    "decode_payload",
    "decode_result",
    "decode_row",
    "decode_value",
    "encode_error",
    "encode_mark",
    "encode_note",
    "encode_payload",
    "encode_result",
    "encode_row",
    "encode_value",
    "squeeze_payload",
    "squeeze_result",
]
