"""Events in the shapes that others publish are sealed under the right customer and hour, and come back byte for byte."""

import json
from collections import Counter
from typing import NamedTuple

import pytest
from oracle.events import HOUR_MS, Event, Headers, now_ms, rfc3339
from topics import header
from world import Feeder

# Two hours ago, on the second: the record's own timestamp is in another hour.
AT = (now_ms() // 1_000 - 7_200) * 1_000
SECOND, TEXT = AT // 1_000, rfc3339(AT)
PREFIX = b"\x00\x00\x00\x00\x07"
JACKSON = TEXT.replace("Z", "+0000")


class Shape(NamedTuple):
    settings: dict
    # Customer, key, headers and value of each event.
    events: list[tuple[bytes, bytes | None, Headers, bytes]]


def value(**members) -> bytes:
    return json.dumps(members).encode()


SHAPES = {
    "a GitHub webhook: number of the sender, seconds": Shape(
        {"customer": "json:/sender/id", "time": "json:/repository/pushed_at@epoch-s"},
        [
            (
                b"21031067",
                None,
                ((b"X-GitHub-Event", b"push"),),
                value(
                    ref="refs/heads/main",
                    repository={"id": 186853002, "full_name": "octo/hello", "pushed_at": SECOND},
                    sender={"login": "octocat", "id": 21031067},
                ),
            )
        ],
    ),
    "a Stripe event: customer below data.object, seconds": Shape(
        {"customer": ["json:/data/object/customer", "json:/account"], "time": "json:/created@epoch-s"},
        [
            (
                b"cus_9s6XKzkNRiz8i3",
                None,
                (),
                value(id="evt_1", object="event", created=SECOND, data={"object": {"customer": "cus_9s6XKzkNRiz8i3"}}),
            ),
            (b"acct_1", None, (), value(id="evt_2", created=SECOND, account="acct_1", data={"object": {"id": "po_1"}})),
        ],
    ),
    "a Debezium change: before or after, milliseconds": Shape(
        {
            "customer": ["json:/payload/after/customer_id", "json:/payload/before/customer_id"],
            "time": "json:/payload/source/ts_ms@epoch-ms",
        },
        [
            (b"1004", b'{"id":1}', (), value(payload={"op": "c", "before": None, "after": {"customer_id": 1004}, "source": {"ts_ms": AT}})),
            (b"1004", b'{"id":1}', (), value(payload={"op": "d", "before": {"customer_id": 1004}, "after": None, "source": {"ts_ms": AT}})),
        ],
    ),
    "a Debezium change: number in the JSON key": Shape(
        {"customer": "key@json:/payload/customer_id", "time": "json:/payload/ts_ms@epoch-ms"},
        [(b"1004", value(schema={"type": "struct"}, payload={"customer_id": 1004}), (), value(payload={"op": "r", "ts_ms": AT}))],
    ),
    "CloudEvents, structured": Shape(
        {"customer": ["json:/tenant", "json:/data/customer/id"], "time": "json:/time"},
        [
            (b"acme", None, ((b"content-type", b"application/cloudevents+json"),), value(specversion="1.0", id="1", time=TEXT, tenant="acme")),
            (b"7", None, (), value(specversion="1.0", id="2", time=TEXT, data={"customer": {"id": 7}})),
        ],
    ),
    "CloudEvents, binary, with Avro data": Shape(
        {"customer": "header:ce_tenant", "time": "header:ce_time"},
        [
            (
                b"acme",
                None,
                ((b"ce_specversion", b"1.0"), (b"ce_id", b"1"), (b"ce_time", TEXT.encode()), (b"ce_tenant", b"acme")),
                b"\x08\xffavro\x00",
            )
        ],
    ),
    "JSON behind a registry's schema id": Shape(
        {"customer": "json:/customer_id", "time": "json:/occurred_at", "skip": "confluent"},
        [
            (b"acme", None, (), PREFIX + value(customer_id="acme", occurred_at=TEXT)),
            (b"acme", None, (), PREFIX + b"\x00" + value(customer_id="acme", occurred_at=TEXT)),
            (b"acme", None, (), value(customer_id="acme", occurred_at=TEXT)),
        ],
    ),
    "Avro behind a registry's schema id, customer in the key": Shape(
        {"customer": "key@confluent", "time": "header:time@epoch-us"},
        [(b"acme", PREFIX + b"\x08acme", ((b"time", b"%d000" % AT),), PREFIX + b"\x02\x00\xff")],
    ),
    "a number of eight bytes in the key, Jackson's time": Shape(
        {"customer": "key@int64", "time": "json:/@timestamp@iso8601"},
        [(b"200", (200).to_bytes(8, "big"), (), json.dumps({"@timestamp": JACKSON}).encode())],
    ),
    "a byte order mark, half a surrogate pair as a key": Shape(
        {},
        [(b"acme", None, (), b'\xef\xbb\xbf{"\\ud800":1,"customer_id":"acme","occurred_at":"%s"}' % TEXT.encode())],
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_an_event_is_sealed_for_the_customer_and_hour_that_it_names(kafka, make_world, name):
    shape = SHAPES[name]
    world = make_world(kafka, partitions=1, settings={"event": shape.settings})
    world.feed([Event(customer, AT, *content) for customer, *content in shape.events])
    world.worker()
    world.await_drained()
    assert [header(record, "hourseal-reason") for record in world.topics.read(world.quarantine)] == []
    world.findings().assert_exactly_once()
    lines = world.opened()
    assert Counter((line["customer"].encode(), line["hour"]) for line in lines) == Counter(
        (event[0], AT // HOUR_MS) for event in shape.events
    )


def test_a_key_that_looks_encoded_waits_until_its_decoding_is_named(kafka, make_world):
    """Sealed as they are, these keys would be other customers, and an erasure of `acme` would miss them."""
    world = make_world(kafka, partitions=1, settings={"event": {"customer": "key", "time": "timestamp"}})
    feeder = Feeder(world)
    for key in (b"acme", b'"acme"', PREFIX + b"\x08acme", b'{"id":7}', (42).to_bytes(8, "big")):
        feeder.send(0, key, (), b"v")
    feeder.finish()
    world.worker()
    world.await_drained()
    assert [line["customer"] for line in world.opened()] == ["acme"]
    reasons = Counter(header(record, "hourseal-reason") for record in world.topics.read(world.quarantine))
    assert reasons == {"encoded-customer": 4}

    named = {"event": {"customer": "key@json", "time": "timestamp"}}
    done = json.loads(world.cli("quarantine", "redrive", "--json", settings=named))
    assert (done["sealed"], done["reasons"]) == (1, {"bad-customer": 3})
    assert [line["customer"] for line in world.opened()] == ["acme", "acme"]
