"""Kafka's frames, as far as a proxy must understand them: which API, whose request, which error an answer carries."""

import asyncio
import struct
from dataclasses import dataclass, field
from enum import IntEnum


class Api(IntEnum):
    """Named as Kafka names them."""

    Produce = 0
    Fetch = 1
    ListOffsets = 2
    Metadata = 3
    OffsetCommit = 8
    OffsetFetch = 9
    FindCoordinator = 10
    JoinGroup = 11
    Heartbeat = 12
    LeaveGroup = 13
    SyncGroup = 14
    ApiVersions = 18
    InitProducerId = 22
    AddPartitionsToTxn = 24
    AddOffsetsToTxn = 25
    EndTxn = 26
    TxnOffsetCommit = 28


# The first version with compact strings and tagged fields.
FLEXIBLE = {
    Api.Produce: 9,
    Api.JoinGroup: 6,
    Api.Heartbeat: 4,
    Api.SyncGroup: 4,
    Api.InitProducerId: 2,
    Api.AddPartitionsToTxn: 3,
    Api.AddOffsetsToTxn: 3,
    Api.EndTxn: 3,
    Api.TxnOffsetCommit: 3,
}
# The first version that names the static member.
STATIC = {Api.JoinGroup: 5, Api.Heartbeat: 3, Api.SyncGroup: 3}
# Their first field is the transactional id.
TRANSACTIONAL = {
    Api.Produce,
    Api.InitProducerId,
    Api.AddPartitionsToTxn,
    Api.AddOffsetsToTxn,
    Api.EndTxn,
    Api.TxnOffsetCommit,
}
# Their answer begins with the throttle time and an error code.
TOLD_AT_ONCE = {Api.InitProducerId, Api.AddOffsetsToTxn, Api.EndTxn}


class Fields:
    """Reads a frame's fields one after the other."""

    def __init__(self, data: bytes, flexible: bool):
        self._data, self._at, self._flexible = data, 0, flexible

    def take(self, length: int) -> bytes:
        self._at += length
        return self._data[self._at - length : self._at]

    def number(self, form: str) -> int:
        return struct.unpack(f">{form}", self.take(struct.calcsize(f">{form}")))[0]

    def varint(self) -> int:
        value, shift = 0, 0
        while True:
            (byte,) = self.take(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def string(self) -> str | None:
        length = self.varint() - 1 if self._flexible else self.number("h")
        return None if length < 0 else self.take(length).decode()

    def array(self) -> range:
        return range(self.varint() - 1 if self._flexible else self.number("i"))

    def tags(self):
        for _ in range(self.varint() if self._flexible else 0):
            self.varint()
            self.take(self.varint())


@dataclass
class Request:
    """A request's frame. The proxy adds where it saw it: connection, client, and its number for that API."""

    frame: bytes
    connection: int = 0
    client: str = ""
    nth: int = 0
    api: int = field(init=False)
    version: int = field(init=False)
    correlation: int = field(init=False)
    client_id: str = field(init=False)

    def __post_init__(self):
        head = Fields(self.frame, False)
        self.api, self.version, self.correlation = head.number("h"), head.number("h"), head.number("i")
        self.client_id = head.string() or ""
        self._body = self.frame[head._at :]

    @property
    def name(self) -> str:
        return Api(self.api).name if self.api in iter(Api) else str(self.api)

    @property
    def transactional_id(self) -> str | None:
        return self._fields().string() if self.api in TRANSACTIONAL else None

    @property
    def identity(self) -> str | None:
        """The transactional id, or the static member's name."""
        if self.version < STATIC.get(self.api, 1 << 15):
            return self.transactional_id
        fields = self._fields()
        fields.string()
        fields.take(8 if self.api == Api.JoinGroup else 4)
        fields.string()
        return fields.string()

    @property
    def commits(self) -> bool:
        """What an EndTxn asks for."""
        fields = self._fields()
        fields.string()
        fields.take(10)
        return bool(fields.number("b"))

    def error(self, answer: bytes) -> int | None:
        """The error code in the answer; of TxnOffsetCommit the first that is one; None for an API that is not read."""
        fields = Fields(answer, self._flexible)
        fields.take(4)
        fields.tags()
        fields.take(4)
        if self.api == Api.TxnOffsetCommit:
            return _first_error(fields)
        return fields.number("h") if self.api in TOLD_AT_ONCE else None

    @property
    def _flexible(self) -> bool:
        return self.version >= FLEXIBLE.get(self.api, 1 << 15)

    def _fields(self) -> Fields:
        fields = Fields(self._body, self._flexible)
        fields.tags()
        return fields


def _first_error(fields: Fields) -> int:
    codes = []
    for _ in fields.array():
        fields.string()
        for _ in fields.array():
            fields.take(4)
            codes.append(fields.number("h"))
            fields.tags()
        fields.tags()
    return next((code for code in codes if code), 0)


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """None at the end of the connection."""
    try:
        return await reader.readexactly(struct.unpack(">i", await reader.readexactly(4))[0])
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def framed(frame: bytes) -> bytes:
    return struct.pack(">i", len(frame)) + frame
