"""Commits offsets of a group that has members, and any metadata with them: in a transaction, which needs no member for it.

This is what an offset that comes late looks like. Byte by byte, because the Python client ends each metadata with a NUL."""

import socket
import struct
import time

from confluent_kafka import TopicPartition
from kafka_wire import Api
from world import World

RETRIABLE = {14, 15, 16, 51}  # the coordinator is loading or moves, or the last transaction has not ended


def commit_offset(world: World, place: TopicPartition):
    """The world's broker must be a lone one: it coordinates everything."""
    (address,) = world.kafka.bootstrap.split(",")
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        _commit(connection.makefile("rwb"), f"moves.{world.name}", world.group, place)
    end = time.monotonic() + 20
    while not _is_there(world, place):
        assert time.monotonic() < end, f"{place} is not committed"
        time.sleep(0.05)


def _is_there(world: World, place: TopicPartition) -> bool:
    found = {it.partition: (it.offset, it.metadata) for it in world.topics.commits(world.group, place.topic)}
    return found.get(place.partition) == (place.offset, place.metadata)


def _commit(stream, name: str, group: str, place: TopicPartition):
    answer = _ask(stream, Api.InitProducerId, _text(name) + struct.pack(">i", 10_000), error_at=4)
    producer = answer[6:16]  # its id and epoch
    _ask(stream, Api.AddOffsetsToTxn, _text(name) + producer + _text(group), error_at=4)
    offset = struct.pack(">iq", place.partition, place.offset) + _text(place.metadata)
    topic = struct.pack(">i", 1) + _text(place.topic) + struct.pack(">i", 1) + offset
    _ask(stream, Api.TxnOffsetCommit, _text(name) + _text(group) + producer + topic, error_at=-2)
    _ask(stream, Api.EndTxn, _text(name) + producer + b"\x01", error_at=4)


def _ask(stream, api: Api, body: bytes, error_at: int) -> bytes:
    """Sends version 0 of a request until it is answered without a retriable error. `error_at`: where its code is."""
    end = time.monotonic() + 20
    while True:
        request = struct.pack(">hhi", api, 0, 0) + _text("hourseal-tests") + body
        stream.write(struct.pack(">i", len(request)) + request)
        stream.flush()
        (size,) = struct.unpack(">i", stream.read(4))
        answer = stream.read(size)[4:]
        (error,) = struct.unpack_from(">h", answer, error_at)
        if error == 0:
            return answer
        assert error in RETRIABLE and time.monotonic() < end, f"{api.name}: error {error}"
        time.sleep(0.05)


def _text(text: str | None) -> bytes:
    """A nullable string."""
    return struct.pack(">h", -1) if text is None else struct.pack(">h", len(text.encode())) + text.encode()
