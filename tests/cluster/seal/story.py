"""What stories about late requests share: how they begin, and what they go without in their controls."""

from contextlib import contextmanager

from kafka_faults import Fault, Gate, Kind
from witness import Witness
from world import World

# A producer whose request had no answer is dropped; a partition whose offset its lane has not committed is parked
# (`testkit::is_off`).
GUARDS = ("late-requests", "offset-check")


def late_request() -> Fault:
    """It arrives when its gate opens."""
    return Fault(Kind.LATE, until=Gate())


@contextmanager
def begun(world: World, events):
    """A worker that has committed a first batch, and a witness."""
    worker = world.worker()
    world.feed_some(events, 10)
    world.await_drained()
    with Witness(world) as witness:
        yield worker, witness
