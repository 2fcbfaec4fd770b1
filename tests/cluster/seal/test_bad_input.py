"""Bad records among good ones: the good flow, each bad one lands once in quarantine with its reason."""

import hashlib
import hmac
from collections import Counter
from itertools import islice

from children import wait_until
from kinds import MAX_BYTES, Bad, Kinds
from oracle.envelope import open_with, read_head
from oracle.events import HOUR_MS, Event, now_ms, rfc3339
from oracle.keystore import Slot
from parked import lines
from plain import plain_events
from topics import header
from world import Feeder, Worker, World

SETTINGS = {"event": {"max_bytes": MAX_BYTES}}
TOLD_IN_THE_CLEAR = {"hourseal-reason", "hourseal-origin", "hourseal-size", "hourseal-digest", "hourseal-timestamp"}
UNKNOWN = b"~quarantine"
# Log code.
PRODUCER_REPLACED = "HS1207"


class Mixer(Feeder):
    """Feeds bad records too, and notes where each of them landed."""

    def __init__(self, world: World):
        super().__init__(world, settings={"compression.type": "zstd", "message.max.bytes": 8_000_000})
        self.bad: dict[str, Bad] = {}

    def put_bad(self, kind: Bad):
        def landed(error, message):
            assert error is None, error
            self.bad[f"{message.topic()}/{message.partition()}/{message.offset()}"] = kind

        self.send(0, kind.key, kind.headers, kind.value, landed)


def filler(number: int) -> Event:
    """A good event between two bad ones."""
    at = now_ms() - 1_000
    payload = f'{{"customer_id":"filler","occurred_at":"{rfc3339(at)}","n":{number}}}'
    return Event(b"filler", at, None, (), payload.encode())


def quarantined(world: World) -> dict:
    """By origin; a record that is there twice fails here."""
    records = world.topics.read(world.quarantine)
    origins = Counter(header(record, "hourseal-origin") for record in records)
    assert set(origins.values()) <= {1}, origins.most_common(3)
    return {header(record, "hourseal-origin"): record for record in records}


def check_content(world: World, keys, record, kind: Bad):
    """What is kept is sealed under the customer's own slot, or under the reserved one, and comes back whole."""
    customer, envelope = record.key(), record.value()
    if not kind.keeps_content:
        assert (customer, envelope) == (None, None), f"{kind.name}: content is kept"
        return
    assert customer == (kind.customer or UNKNOWN), kind.name
    head = read_head(envelope)
    key = keys.key(Slot(customer, head.hour, head.generation))
    _, frame = open_with(key, envelope, customer, b"jobs.quarantine")
    assert (frame.key, frame.headers, frame.payload) == (kind.key, kind.headers, kind.value), kind.name


def check_clear(keys, record, kind: Bad):
    """Headers tell the reason, the origin and the size, and quote nothing."""
    names = [name for name, _ in record.headers()]
    assert set(names) <= TOLD_IN_THE_CLEAR and len(set(names)) == len(names), f"{kind.name}: {names}"
    assert header(record, "hourseal-reason") == kind.reason, kind.name
    assert ("hourseal-timestamp" in names) == kind.keeps_content, kind.name
    if not kind.headers:
        assert int(header(record, "hourseal-size")) == len(kind.key or b"") + len(kind.value or b""), kind.name
    if "hourseal-digest" in names:
        text = b"hourseal/1 digest" + (kind.value or b"")
        digest = hmac.digest(keys.meta("token_key"), text, hashlib.sha256)[:16].hex()
        assert header(record, "hourseal-digest") == digest, kind.name
    assert abs(record.timestamp()[1] - now_ms()) < 600_000, f"{kind.name}: not the worker's time"


def test_every_bad_kind_is_quarantined_once_while_the_good_ones_flow(kafka, make_world):
    kinds = Kinds(now_ms())
    bad, good = kinds.bad(), kinds.good()
    assert len(bad) >= 40
    world = make_world(kafka, partitions=2, settings=SETTINGS)
    mixer = Mixer(world)
    for number, kind in enumerate(bad):
        mixer.put_bad(kind)
        mixer.put(filler(number))
    for event in good.values():
        mixer.put(event)
    mixer.finish()
    worker = world.worker(lanes=2)
    world.await_drained()
    worker.stop()

    world.findings().assert_exactly_once()
    found, keys = quarantined(world), world.keys()
    expected = {(origin, kind.name, kind.reason) for origin, kind in mixer.bad.items()}
    names = {origin: kind.name for origin, kind in mixer.bad.items()}
    seen = {(origin, names.get(origin), header(record, "hourseal-reason")) for origin, record in found.items()}
    assert seen == expected, f"only found: {seen - expected}; not found: {expected - seen}"
    for origin, kind in mixer.bad.items():
        check_clear(keys, found[origin], kind)
        check_content(world, keys, found[origin], kind)
    check_listing(world, mixer.bad)


def check_listing(world: World, bad: dict[str, Bad]):
    lines = {line["origin"]: line for line in world.cli_json("quarantine", "ls", "--json")}
    assert lines.keys() == bad.keys()
    for origin, kind in bad.items():
        line = lines[origin]
        assert line["reason"] == kind.reason, line
        if kind.keeps_content:
            assert line["outcome"] == "opened", line
    opened = [line for line in world.opened(world.quarantine) if line["outcome"] == "opened"]
    assert len(opened) == sum(line["outcome"] == "opened" for line in lines.values()), "`open` reads the quarantine too"


def test_what_the_broker_refuses_for_its_size_or_time_is_quarantined_alone(world):
    """The topic's rules change under a running worker, so that only the broker can tell."""
    worker = world.worker()
    world.topics.alter(world.output, max_message_bytes="3000", message_timestamp_before_max_ms=str(2 * HOUR_MS))
    mixer = Mixer(world)
    late = now_ms() - 5 * HOUR_MS
    too_long = b'{"customer_id":"acme","occurred_at":"%s","log":"%s"}' % (rfc3339(now_ms()).encode(), b"x" * 9_000)
    too_late = b'{"customer_id":"acme","occurred_at":"%s"}' % rfc3339(late).encode()
    for number in range(100):
        mixer.put(filler(number))
        if number % 40 == 20:
            mixer.put_bad(Bad(f"long_{number}", "refused", too_long, customer=b"acme"))
            mixer.put_bad(Bad(f"late_{number}", "refused", too_late, customer=b"acme"))
    mixer.finish()
    wait_until(lambda: world.lag() == 0, 90, "all of the input is committed", alive=worker)
    worker.stop()

    world.findings().assert_exactly_once()
    found, keys = quarantined(world), world.keys()
    assert found.keys() == mixer.bad.keys()
    for origin, kind in mixer.bad.items():
        # Soon after the first refusal the worker knows the smaller size itself.
        if kind.value == too_long and header(found[origin], "hourseal-reason") == "too-large":
            kind = kind._replace(reason="too-large")
        check_clear(keys, found[origin], kind)
        check_content(world, keys, found[origin], kind)


def await_new_sizes(worker: Worker, count: int):
    """Waits until a worker has replaced this many producers because the size of a topic has changed."""

    def replaced() -> int:
        return sum("max.message.bytes" in str(line) for line in lines([worker], PRODUCER_REPLACED))

    wait_until(lambda: replaced() >= count, 60, f"{count} producers are replaced", alive=worker)


def test_batches_follow_an_output_that_takes_less_and_then_more(kafka, make_world):
    """Under load. Batches as large as before would be refused whole, although each record fits."""
    world = make_world(kafka, partitions=2)
    worker = world.worker(lanes=2)
    usual = world.topics.settings(world.output)["max.message.bytes"]
    mixer = Mixer(world)
    with world.load(plain_events(2_000), 500):
        world.topics.alter(world.output, max_message_bytes="20000")
        await_new_sizes(worker, 2)
        for number, event in enumerate(islice(plain_events(30_000), 50)):
            mixer.put_bad(Bad(f"large_{number}", "too-large", event.payload, customer=event.customer))
        mixer.finish()
        wait_until(lambda: len(world.topics.peek(world.quarantine)) == 50, 60, "they are quarantined", alive=worker)
        world.topics.alter(world.output, max_message_bytes=usual)
        await_new_sizes(worker, 4)
    world.feed_some(plain_events(30_000), 50)
    world.await_drained()
    worker.stop()

    world.findings().assert_exactly_once()
    found, keys = quarantined(world), world.keys()
    assert found.keys() == mixer.bad.keys() and len(found) == 50
    for origin, kind in mixer.bad.items():
        check_clear(keys, found[origin], kind)
        check_content(world, keys, found[origin], kind)


def test_records_that_the_broker_names_as_invalid_cost_one_transaction(world):
    """1 % is older than the topic accepts: a setting that became stricter under a running worker."""
    worker = world.worker()
    world.topics.alter(world.output, message_timestamp_before_max_ms=str(2 * HOUR_MS))
    mixer = Mixer(world)
    too_late = b'{"customer_id":"acme","occurred_at":"%s"}' % rfc3339(now_ms() - 5 * HOUR_MS).encode()
    for number in range(5_000):
        mixer.put(filler(number))
        if number % 100 == 50:
            mixer.put_bad(Bad(f"late_{number}", "refused", too_late, customer=b"acme"))
    mixer.finish()
    world.await_drained()
    transactions = {how: worker.figures().sum("transactions_total", outcome=how) for how in ("committed", "aborted")}
    worker.stop()

    assert transactions["aborted"] <= transactions["committed"], transactions
    assert quarantined(world).keys() == mixer.bad.keys() and len(mixer.bad) == 50
    world.findings().assert_exactly_once()


def test_once_a_limit_of_timestamps_is_known_no_batch_is_refused(world):
    """The worker learns the limit from the first abort. Without that, each batch with a late event is aborted."""
    worker = world.worker()
    world.topics.alter(world.output, message_timestamp_before_max_ms=str(2 * HOUR_MS))
    too_late = b'{"customer_id":"acme","occurred_at":"%s"}' % rfc3339(now_ms() - 5 * HOUR_MS).encode()
    mixer = Mixer(world)

    def aborts_of_one_more() -> float:
        before = worker.figures().sum("transactions_total", outcome="aborted")
        mixer.put_bad(Bad(f"late_{len(mixer.bad)}", "refused", too_late, customer=b"acme"))
        mixer.finish()
        world.await_drained()
        return worker.figures().sum("transactions_total", outcome="aborted") - before

    aborts = [aborts_of_one_more() for _ in range(10)]
    worker.stop()

    assert aborts[0] > 0, "the control: the broker refuses it, and the worker does not know the limit yet"
    assert aborts[-5:] == [0] * 5, aborts
    found, keys = quarantined(world), world.keys()
    assert found.keys() == mixer.bad.keys() and len(found) == 10
    for origin, kind in mixer.bad.items():
        check_clear(keys, found[origin], kind)
        check_content(world, keys, found[origin], kind)
