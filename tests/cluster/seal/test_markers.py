"""Markers and aborted records at the end of a partition: nobody seals them, so they are no lag, and no gap once read."""

from collections.abc import Iterable, Iterator

from children import wait_until
from groups import assignment, settled
from oracle.events import Event
from parked import accepting, await_parked, notes
from plain import plain_events
from topics import UNCOMMITTED
from world import BRISK, Feeder, World, a_producer

PARTITIONS = 4


class Transactions:
    """Feeds the input in transactions; each leaves a marker in every partition that it wrote to."""

    def __init__(self, world: World):
        self._world = world
        timeouts = {"message.timeout.ms": 20_000, "transaction.timeout.ms": 20_000}
        self._producer = a_producer(world, {"transactional.id": world.name, **timeouts})
        self._producer.init_transactions(20)

    def commit(self, events: Iterator[Event], count: int):
        self._producer.begin_transaction()
        feeder = Feeder(self._world, producer=self._producer)
        for _ in range(count):
            feeder.put(next(events))
        feeder.finish()
        self._producer.commit_transaction(20)

    def abort(self, count: int, partitions: Iterable[int]):
        self._producer.begin_transaction()
        feeder = Feeder(self._world, producer=self._producer)
        for partition in partitions:
            for number in range(count):
                feeder.send(partition, None, (), b"aborted %d" % number)
        feeder.finish()
        self._producer.abort_transaction(20)


def empty(world: World, partitions: Iterable[int]) -> dict[int, int]:
    """Retention takes all that these partitions hold. Returns where they end."""
    ends = {}

    def is_empty() -> bool:
        # A broker answers the end of a transaction before its markers are written.
        ends.update(world.topics.ends(world.input, UNCOMMITTED, partitions))
        world.topics.delete_before(world.input, ends)
        return all(world.topics.marks(world.input)[number] == (end, end) for number, end in ends.items())

    wait_until(is_empty, 20, "the partitions are empty")
    return ends


def lags(worker) -> dict[int, float]:
    """The lag of each partition that has one."""
    series = worker.figures().items()
    return {int(dict(labels)["partition"]): lag for (name, labels), lag in series if name == "hourseal_input_lag_records"}


def held(world: World, worker) -> set[int]:
    """The partitions of a worker, once the group is stable."""
    wait_until(lambda: settled(world), 30, "the group is stable")
    members = assignment(world).items()
    return {partition for name, (_, places) in members if name == f"{worker.instance}.0" for _, partition in places}


def test_a_marker_that_the_worker_has_read_is_no_gap(kafka, make_world):
    """The log is emptied while nobody reads it: by then the worker has committed the place behind the marker."""
    world, events = make_world(kafka, partitions=PARTITIONS, settings=BRISK), plain_events()
    transactions = Transactions(world)
    worker = world.worker()
    transactions.commit(events, 40)
    transactions.abort(5, [0, 1])
    world.await_drained(30)
    worker.kill()  # it commits nothing more
    empty(world, range(PARTITIONS))

    worker = world.worker()
    transactions.commit(events, 40)
    world.await_drained(30)
    assert notes(worker) == {}
    worker.stop()
    world.findings().assert_exactly_once()


def test_a_marker_that_no_worker_has_read_is_a_gap_rightly(kafka, make_world):
    """Once its segment is gone, nobody can tell it from a record."""
    world, events = make_world(kafka, partitions=PARTITIONS, settings=BRISK), plain_events()
    transactions = Transactions(world)
    worker = world.worker()
    transactions.commit(events, 40)
    world.await_drained(30)
    worker.stop()
    committed = world.topics.committed(world.group, world.input)[3]
    transactions.abort(5, [3])
    empty(world, [3])

    worker = world.worker()
    await_parked([worker], 3, "input-gap")
    world.feed_some(events, 40)
    world.await_drained(30, partitions=[0, 1, 2])
    worker.stop()
    worker = world.worker(arguments=accepting(world.input, 3, committed))
    world.await_drained(30)
    worker.stop()
    world.findings().assert_exactly_once()


def test_lag_is_0_behind_markers_and_goes_with_its_partition(kafka, make_world):
    world, events = make_world(kafka, partitions=PARTITIONS, settings=BRISK), plain_events()
    transactions = Transactions(world)
    worker = world.worker()
    transactions.commit(events, 40)
    transactions.abort(5, range(PARTITIONS))
    caught_up = dict.fromkeys(range(PARTITIONS), 0)
    wait_until(lambda: lags(worker) == caught_up, 30, "no partition lags", alive=worker)

    other = world.worker("w1")
    wait_until(lambda: len(held(world, worker)) == PARTITIONS / 2, 30, "each worker has its share")
    wait_until(lambda: lags(worker).keys() == held(world, worker), 30, "a lag went with its partition", alive=worker)
    transactions.commit(events, 40)
    transactions.abort(5, range(PARTITIONS))
    both = lambda: lags(worker) | lags(other)  # noqa: E731
    wait_until(lambda: both() == caught_up, 30, "no partition lags", alive=other)
    assert lags(worker).keys().isdisjoint(lags(other)), "one lag for each partition"
    for each in (worker, other):
        each.stop()
    world.findings().assert_exactly_once()
