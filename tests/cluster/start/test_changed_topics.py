"""Topics that change under a running worker: it names them, and goes on when they are right again."""

from children import wait_until
from oracle.events import job_events
from parked import readiness
from world import BRISK, seeded


def test_a_topic_that_is_deleted_or_changed_is_named(kafka, make_world):
    world, events = make_world(kafka, partitions=2, settings=BRISK), job_events(seeded())
    worker = world.worker()
    world.feed_some(events, 200)
    world.await_drained(30)

    def says(*texts: str) -> bool:
        return all(text in str(readiness(worker)) for text in texts)

    world.topics.add_partitions(world.output, 3)
    world.topics.alter(world.output, cleanup_policy="compact")
    grown = f"topic `{world.output}` has 3 partitions, and the workers use 2: `hourseal topics adopt` changes this"
    wait_until(lambda: says(grown, "cleanup.policy is compact"), 30, "both changes are named")
    assert not worker.is_ready()
    world.topics.alter(world.output, cleanup_policy="delete")
    wait_until(lambda: worker.is_ready() and says(grown), 30, "the one that changes nothing is a note")

    settings = world.topics.settings(world.output)
    settings = {name: settings[name] for name in ("retention.ms", "max.message.bytes")}
    world.topics.delete(world.output)
    wait_until(lambda: says(f"topic `{world.output}` does not exist"), 30, "the deleted topic is named")
    world.topics.create(world.output, partitions=2, settings=settings)
    world.feed_some(events, 200)
    world.await_drained(60)
    wait_until(worker.is_ready, 30, "the worker is ready again")
    assert sum(world.topics.ends(world.output).values()) >= 200
    assert "HS1427" in worker.text() and "HS1428" in worker.text()
    worker.stop()
