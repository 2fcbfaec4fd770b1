"""What nobody can open any more is deleted from the output, and nothing else is."""

import os
from itertools import count

from children import wait_until
from confluent_kafka import Consumer, Producer, TopicPartition
from office import Office, ask
from oracle.events import HOUR_MS, Event, now_ms, rfc3339
from sweeps import sweeps
from world import LONG, TESTKIT, World

LAST = now_ms() // HOUR_MS - 1
HOURS = [LAST - 3, LAST - 2, LAST - 1, LAST]
SEGMENT = 2 << 20
# Of four hours and two customers: 1 GiB, or 24 MiB.
PER_HOUR = (1 << 30) // 8_192 // 8 if LONG else 375
SETTINGS = {"retention": {"default": "24h", "sweep": "1s"}}


def of(customer: bytes, hour: int):
    for serial in range(PER_HOUR):
        at = hour * HOUR_MS + serial
        pad = os.urandom(4_050).hex().encode()
        payload = b'{"customer_id":"%s","occurred_at":"%s","pad":"%s"}' % (customer, rfc3339(at).encode(), pad)
        yield Event(customer, at, None, (), payload)


def on_disk(world: World) -> int:
    """Bytes of the output's segments that the broker has not given up."""
    (data,) = world.kafka.data_dirs
    files = (file for folder in data.glob(f"{world.output}-*") for file in folder.glob("*.log"))
    return sum(file.stat().st_size for file in files)


def starts(world: World) -> list[int]:
    return [low for low, _ in world.topics.marks(world.output)]


def places(world: World, condition=lambda _: True) -> set[tuple[int, int]]:
    return {(line["partition"], line["offset"]) for line in world.opened() if condition(line)}


def sealed(kafka, store, make_world, tmp_path) -> World:
    world = make_world(kafka, store=store, partitions=2, binary=TESTKIT, settings=SETTINGS)
    world.office = Office(tmp_path / "office", world.binary)
    world.set_clock(hours=0)
    worker = world.worker(settings=world.office.settings)
    world.topics.alter(world.output, segment_bytes=str(SEGMENT), file_delete_delay_ms="100")
    for hour in HOURS:
        for customer in (b"acme", b"bravo"):
            world.feed(of(customer, hour))
        world.await_drained(600)
    world.running = worker
    return world


def test_the_broker_frees_forgotten_bytes_and_later_readers_notice_nothing(kafka, store, make_world, tmp_path):
    world = sealed(kafka, store, make_world, tmp_path)
    assert world.cli_json("reclaim", "--json") == [], "nothing is forgotten"
    before, all_places = on_disk(world), places(world)

    # Two of the four hours are due.
    world.set_hour(HOURS[1] + 25.5)
    wait_until(lambda: sum(len(hours) for _, hours in sweeps(world)) == 4, 60, "four hours are swept", every=0.5)
    forgotten = places(world, lambda line: line["outcome"] == "erased")
    assert {line["hour"] for line in world.opened() if line["outcome"] == "erased"} == set(HOURS[:2])
    assert len(forgotten) == 4 * PER_HOUR

    # A reader in the midst of what stays.
    later = sorted(all_places - forgotten)
    first = {partition: offset for partition, offset in reversed(later)}
    reader = Consumer({"bootstrap.servers": world.kafka.bootstrap, "group.id": f"{world.name}.reader", "log_level": 0})
    reader.assign([TopicPartition(world.output, partition, offset) for partition, offset in first.items()])
    read = [next(message for message in iter(lambda: reader.poll(20), None) if not message.error()) for _ in range(10)]

    planned = world.cli_json("reclaim", "--dry-run", "--json")
    assert starts(world) == [0] * world.partitions and not any(part["deleted"] for part in planned)
    done = world.cli_json("reclaim", "--json")
    assert [{**part, "deleted": False} for part in done] == planned
    assert sum(part["records"] for part in done) == 4 * PER_HOUR
    assert sum(part["bytes"] for part in done) > 4 * PER_HOUR * 8_100
    news = {part["partition"]: part["new_start"] for part in done}
    assert starts(world) == [news.get(number, 0) for number in range(world.partitions)]
    assert places(world) == set(later) and places(world, lambda line: line["outcome"] == "opened") == set(later)

    # Whole segments go, and those that the boundary runs through stay.
    stays = before // 2 + 2 * SEGMENT * world.partitions
    wait_until(lambda: on_disk(world) <= stays, 60, f"the broker frees its disk: {before} bytes before")
    print(f"{before} bytes before, {on_disk(world)} after")
    while len(read) < len(later):
        message = reader.poll(20)
        assert message is not None and not message.error()
        read.append(message)
    assert sorted((message.partition(), message.offset()) for message in read) == later
    reader.close()
    assert world.cli_json("reclaim", "--json") == [], "a second time there is nothing"
    world.running.stop()


def test_a_held_hour_and_a_record_that_is_none_of_ours_end_it(kafka, store, make_world, tmp_path):
    world = make_world(kafka, store=store, partitions=1, binary=TESTKIT, settings=SETTINGS)
    world.office = office = Office(tmp_path / "office", world.binary)
    world.set_clock(hours=0)
    worker = world.worker(settings=office.settings)
    serial = count()

    def put(customer: bytes, hour: int):
        at = hour * HOUR_MS + next(serial)
        payload = b'{"customer_id":"%s","occurred_at":"%s"}' % (customer, rfc3339(at).encode())
        world.feed([Event(customer, at, None, (), payload)])
        world.await_drained()

    for customer in (b"acme", b"bravo", b"acme"):
        put(customer, HOURS[0])
    hold = ("--customer", "bravo", "--hold", "case-17")
    ask(world, "hold", "place", *hold, "--from", str(HOURS[0]), "--to", str(HOURS[0]), "--sign-with", office.key("legal"))
    world.set_hour(HOURS[0] + 26)
    wait_until(lambda: sum(len(hours) for _, hours in sweeps(world)) == 1, 60, "acme's hour is swept", every=0.5)
    (part,) = world.cli_json("reclaim", "--json")
    assert part["records"] == 1, "the held record stands second"
    assert [line["outcome"] for line in world.opened()] == ["opened", "erased"]

    both = ("--sign-with", office.key("dpo"), "--sign-with", office.key("legal"))
    ask(world, "hold", "release", *hold, *both)
    wait_until(lambda: sum(len(hours) for _, hours in sweeps(world)) == 2, 60, "bravo's hour is swept", every=0.5)
    producer = Producer({"bootstrap.servers": world.kafka.bootstrap, "log_level": 0})
    producer.produce(world.output, b"not sealed", b"acme")
    assert producer.flush(20) == 0
    (part,) = world.cli_json("reclaim", "--json")
    assert part["records"] == 2
    assert [line["outcome"] for line in world.opened()] == ["not-an-envelope"]
    assert world.cli_json("reclaim", "--json") == []
    worker.stop()


def test_where_the_key_store_does_not_answer_nothing_is_deleted(kafka, make_world, tmp_path):
    world = make_world(kafka, partitions=1, binary=TESTKIT, settings=SETTINGS)
    world.office = Office(tmp_path / "office", world.binary)
    world.set_clock(hours=0)
    worker = world.worker(settings=world.office.settings)
    world.feed([Event(b"acme", LAST * HOUR_MS, None, (), b'{"customer_id":"acme","occurred_at":"%s"}' % rfc3339(LAST * HOUR_MS).encode())])
    world.await_drained()
    world.set_hour(LAST + 26)
    wait_until(lambda: sum(len(hours) for _, hours in sweeps(world)) == 1, 60, "the hour is swept", every=0.5)
    worker.stop()
    away = world.store.path.rename(world.store.path.with_suffix(".away"))
    world.cli("reclaim", "--json", code=78)
    away.rename(world.store.path)
    assert starts(world) == [0]
    assert world.cli_json("reclaim", "--json")[0]["records"] == 1 and starts(world) == [1]
