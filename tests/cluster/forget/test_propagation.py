"""Erasures reach every process: at once where it hears of them, and within its lease where it does not."""

import time
from itertools import islice

from children import wait_until
from confluent_kafka import Producer
from confluent_kafka.admin import AclOperation, AclPermissionType, ResourceType
from envelopes import HOUR, command, enveloped
from erasures import events
from guarded_kafka import SECRET, GuardedKafka, allow, await_obeyed, settings
from metrics import total
from office import Office
from world import TESTKIT, World

CUSTOMERS = [b"customer-%03d" % number for number in range(100)]
LEASE = 5


def feed(world: World, turn: int):
    """Two events of each."""
    world.feed(event for customer in CUSTOMERS for event in islice(events(customer, HOUR), 2 * turn, 2 * turn + 2))
    world.await_drained()


def erase_all(world: World):
    """A hundred commands, signed by two."""
    keys = world.office.seed("dpo"), world.office.seed("legal")
    producer = Producer({"bootstrap.servers": world.kafka.bootstrap, "log_level": 0})
    for number, customer in enumerate(CUSTOMERS):
        producer.produce(world.control, enveloped(command(world, f"e-{number}", customer=customer.decode()), *keys))
    assert producer.flush(20) == 0
    outcomes = lambda: [receipt["outcome"] for receipt in world.receipt_bodies()]  # noqa: E731
    wait_until(lambda: len(outcomes()) == len(CUSTOMERS), 60, "every erasure has its receipt", every=0.5)
    assert set(outcomes()) == {"erased"}


def test_four_processes_forget_each_of_a_hundred_keys_with_its_receipt(kafka, store, make_world, tmp_path):
    world = make_world(kafka, store=store, binary=TESTKIT)
    world.office = Office(tmp_path / "office", world.binary)
    executor = world.worker("w0", settings=world.office.settings)
    others = [world.worker(f"w{number}", settings={"control": {"execute": False}}) for number in (1, 2, 3)]
    feed(world, 0)
    erase_all(world)
    heard = lambda worker: worker.figures().sum("erasure_propagation_seconds_count")  # noqa: E731
    workers = [executor, *others]
    wait_until(lambda: all(heard(worker) == len(CUSTOMERS) for worker in workers), 30, "everybody has heard of each")
    p50, p95, most = total(worker.figures() for worker in workers).quantiles("erasure_propagation_seconds", 0.5, 0.95, 1)
    print(f"propagation of {len(CUSTOMERS)} erasures to {len(workers)} processes, s: p50 <= {p50}, p95 <= {p95}, max <= {most}")

    sealed = world.sealed_count()
    feed(world, 1)
    assert world.sealed_count() == sealed, "nothing is sealed under any of them"
    assert quarantined(world) == {"erased": 2 * len(CUSTOMERS)}
    for worker in workers:
        worker.stop()


def quarantined(world: World) -> dict[str, int]:
    reasons = [line["reason"] for line in world.cli_json("quarantine", "ls", "--json")]
    return {reason: reasons.count(reason) for reason in set(reasons)}


def test_who_reads_no_receipts_seals_under_no_erased_key_after_its_lease(store, make_world, tmp_path):
    with GuardedKafka() as broker:
        world = make_world(broker, store=store, binary=TESTKIT, settings={"ring": {"lease": f"{LEASE}s"}})
        world.office = Office(tmp_path / "office", world.binary)
        password = tmp_path / "password"
        password.write_text(SECRET + "\n")
        # It seals nothing, and executes.
        executor = world.worker("w0", lanes=0, settings=world.office.settings)
        for kind in (ResourceType.GROUP, ResourceType.TRANSACTIONAL_ID, ResourceType.TOPIC):
            allow(broker, kind, "*", AclOperation.ALL)
        await_obeyed(broker, world.input)
        deaf = world.worker("w1", settings={**settings(broker, password), "control": {"execute": False}})
        feed(world, 0)
        sealed = world.sealed_count()
        assert sealed == 2 * len(CUSTOMERS)

        allow(broker, ResourceType.TOPIC, world.receipts, AclOperation.READ, AclPermissionType.DENY)
        feed(world, 1)
        assert world.sealed_count() == 2 * sealed, "deaf, it asks the store for each slot"
        erase_all(world)
        time.sleep(LEASE)
        feed(world, 2)
        assert world.sealed_count() == 2 * sealed, "and is told of each of them"
        assert quarantined(world) == {"erased": 2 * len(CUSTOMERS)}
        assert deaf.figures().sum("erasure_propagation_seconds_count") == 0, "it has heard of none"
        for worker in (executor, deaf):
            worker.stop()
