"""A consumer that is not Hourseal, but has a worker's group id, reads records that nobody seals: /readyz names it while it is there."""

import pytest
from children import wait_until
from confluent_kafka import Consumer
from oracle.events import job_events
from world import LONG, World, seeded

# Longer than a worker takes for two looks at its group, if no rebalance reaches it.
SOON = 100


def stranger(world: World, group: str, topic: str, settings: dict) -> Consumer:
    """It commits nothing: what it reads comes again."""
    consumer = Consumer({
        "bootstrap.servers": world.kafka.bootstrap,
        "group.id": group,
        "client.id": "looker",
        "enable.auto.commit": False,
        "log_level": 0,
        **settings,
    })
    consumer.subscribe([topic])
    return consumer


CLASSIC = {"partition.assignment.strategy": "cooperative-sticky"}


# In the control group, no rebalance tells of it: that takes a minute.
@pytest.mark.parametrize("reads", ["input", "control"] if LONG else ["input"])
def test_a_stranger_in_the_group_is_named_until_it_leaves(kafka, make_world, reads):
    world = make_world(kafka)
    events = job_events(seeded())
    worker = world.worker(lanes=2)
    world.feed_some(events, 200)
    world.await_drained()
    group, topic = (world.group, world.input) if reads == "input" else (f"{world.group}.control", world.control)
    foreign = lambda: worker.figures().sum("foreign_members", reads=reads)  # noqa: E731
    assert foreign() == 0

    looker = stranger(world, group, topic, CLASSIC)

    def named() -> str | None:
        looker.poll(0.2)
        why = worker.why_not_ready() or ""
        return why if "not Hourseal" in why else None

    why = wait_until(named, SOON, "/readyz names the stranger", alive=worker)
    assert f"members of group {group}" in why and "client id `looker`, host `/127.0.0.1`" in why, why
    assert foreign() == 1
    assert ("nobody seals" if reads == "input" else "nobody executes") in why, why

    looker.close()
    worker.await_ready(SOON)
    assert foreign() == 0
    assert [worker.text().count(code) for code in ("HS1430", "HS1431")] == [1, 1], worker.tail()
    world.feed_some(events, 200)
    world.await_drained()
    worker.stop()
    world.findings().assert_exactly_once()
