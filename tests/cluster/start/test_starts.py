"""Where a worker may start and who it may be: foreign stores, twins and wrong topics are refused with the reason, gaps wait for
a person."""

import time

from children import wait_until
from confluent_kafka import Consumer
from groups import await_empty
from oracle.events import job_events
from parked import accepting, await_all_parked, await_parked
from servers import Kafka
from world import BRISK, seeded


def test_two_processes_with_one_instance_duel_and_double_nothing(kafka, make_world):
    world = make_world(kafka)
    first = world.worker("w0")
    with world.load(job_events(seeded()), 2_000):
        world.env["HOURSEAL__ADMIN__LISTEN"] = "127.0.0.1:0"  # or the port would end it first
        second = world.worker("w0", ready=False)
        wait_until(lambda: not (first.alive and second.alive), 60, "one of the two gives up")
        time.sleep(12)  # its last request may have fenced the other one, which learns of it by a heartbeat
    del world.env["HOURSEAL__ADMIN__LISTEN"]
    ended = [worker for worker in (first, second) if not worker.alive]
    assert all(worker.exit_code == 69 and "duel" in worker.tail() for worker in ended), [worker.tail() for worker in ended]
    winner = world.worker("w0") if len(ended) == 2 else first if first.alive else second
    world.await_drained()
    winner.stop()
    world.findings().assert_exactly_once()


def test_records_that_are_gone_stop_a_worker_until_the_gap_is_accepted(kafka, make_world):
    """It has no other partition. It runs, so that a person can look at it, and is not ready."""
    world = make_world(kafka, partitions=1, settings=BRISK)
    events = job_events(seeded())
    world.feed_some(events, 2_000)
    world.worker().stop()
    world.feed_some(events, 2_000)
    committed, gone = world.topics.committed(world.group, world.input)[0], world.topics.ends(world.input)[0] - 10
    world.topics.delete_before(world.input, {0: gone})
    world.ledger.give_up(0, committed, gone)
    worker = world.worker(ready=False)
    await_all_parked(worker, {0}, "input-gap")
    flag = accepting(world.input, 0, committed)
    assert " ".join(flag) in worker.why_not_ready()
    assert world.lag() > 0
    worker.stop()
    worker = world.worker(arguments=flag)
    world.await_drained()
    worker.stop()
    world.findings().assert_exactly_once()


def test_committed_offsets_that_vanish_are_no_first_run(kafka, make_world):
    world = make_world(kafka, partitions=2, settings=BRISK)
    world.feed_some(job_events(seeded()), 2_000)
    worker = world.worker()
    world.await_drained()  # a partition of which nothing was committed has not started
    worker.stop()
    sealed = world.sealed_count()
    await_empty(world)
    for done in world.topics.admin.delete_consumer_groups([world.group]).values():
        done.result(20)
    worker = world.worker(ready=False)
    await_all_parked(worker, {0, 1}, "input-gap")
    assert world.sealed_count() == sealed
    worker.stop()

    # Where the broker holds no offset, the log's start is accepted: all of that partition comes once more.
    again = world.topics.ends(world.input)[1]
    worker = world.worker(arguments=accepting(world.input, 1, None))
    await_parked([worker], 0, "input-gap")
    world.await_drained(partitions=[1])
    worker.stop()
    findings = world.findings()
    assert (findings.lost, findings.doubled) == (0, again)


def test_a_member_with_another_assignor_is_named_as_the_reason(kafka, make_world):
    world = make_world(kafka)
    world.feed_some(job_events(seeded()), 100)
    stranger = Consumer({
        "bootstrap.servers": kafka.bootstrap,
        "group.id": world.group,
        "partition.assignment.strategy": "range",
        "client.id": "looker",
    })
    stranger.subscribe([world.input])
    wait_until(lambda: stranger.poll(0.2) is None and stranger.assignment(), 30, "the stranger has the partitions")
    worker = world.worker(ready=False)
    said = lambda reason: reason in (worker.why_not_ready() or "")  # noqa: E731
    wait_until(lambda: said("partition.assignment.strategy"), 30, "the reason", alive=worker)
    wait_until(lambda: said("client id `looker`"), 30, "its name", alive=worker)
    stranger.close()
    worker.await_ready(60)
    world.await_drained()
    worker.stop()


def test_a_session_timeout_that_the_broker_refuses_is_named_as_the_reason(make_world):
    with Kafka(settings={"group.max.session.timeout.ms": "20000"}) as broker:
        world = make_world(broker)
        worker = world.worker(ready=False)
        wait_until(lambda: "`session.timeout.ms` 30000" in (worker.why_not_ready() or ""), 30, "the reason", alive=worker)
        worker.stop()
