"""What makes one partition of an input unfit to be read, by the reason that a worker gives, and how each of them ends."""

from children import wait_until
from confluent_kafka import KafkaException, TopicPartition
from groups import assignment, await_empty, holder
from oracle.events import HOUR_MS, now_ms, rfc3339
from parked import GAP_ACCEPTED, accepting, await_flowing, await_parked, lines, notes
from plain import plain_events
from topics import ONLY_MARKERS, header
from transactional_offsets import commit_offset
from world import BRISK, Feeder, World, merged

METADATA = {"kafka": {"client": {"topic.metadata.refresh.interval.ms": "1000"}}}
LONE_BROKER = 3


class Story:
    """One partition of a world goes bad and recovers; the others flow. It is the last one."""

    def __init__(self, world: World, cause: "Cause", partitions: int, names: tuple[str, ...] = ("w0",)):
        self.world, self.cause, self._names = world, cause, names
        self.bad, self.healthy = partitions - 1, list(range(partitions - 1))
        self.events = plain_events()
        self.workers = []
        self.holder = None
        """The worker that has parked the partition."""

    def start(self, arguments: list[str] = ()):
        self.workers = [self.world.worker(name, arguments=arguments, ready=False) for name in self._names]
        for worker in self.workers:
            worker.await_ready()

    def stop(self):
        for worker in self.workers:
            worker.stop()

    def restart(self, arguments: list[str]):
        self.stop()
        self.start(arguments)

    def begin(self, count: int):
        self.start()
        self.feed(count)
        self.world.await_drained()

    def feed(self, count: int, partitions: list[int] | None = None):
        self.world.feed_some(self.events, count, partitions=partitions)

    def flow(self, count: int):
        """So many events more flow through the healthy partitions."""
        self.feed(count, self.healthy)
        self.world.await_drained(partitions=self.healthy)

    def spoil(self, count: int):
        """The partition goes bad, with unread events behind it."""
        if self.cause.at_rest:
            self.stop()
            self.feed(count)
        self.cause.spoil(self)
        if self.cause.at_rest:
            self.start(self.cause.arguments(self))
        self.await_parked()
        if self.cause.can_be_fed:
            self.feed(count, [self.bad])

    def await_parked(self):
        self.holder = await_parked(self.workers, self.bad, self.cause.code)

    def committed(self) -> int | None:
        """The partition's committed offset, if it has one."""
        (found,) = wait_until(self._asked, 20, "the coordinator tells the committed offsets")
        return found.get(self.bad)

    def _asked(self) -> list[dict[int, int]]:
        try:
            return [self.world.topics.committed(self.world.group, self.world.input)]
        except KafkaException:  # the coordinator was the broker that has died
            return []

    def place(self, offset: int, metadata: str | None = None) -> TopicPartition:
        more = {} if metadata is None else {"metadata": metadata}
        return TopicPartition(self.world.input, self.bad, offset, **more)

    def metadata(self) -> str:
        """What our commits carry."""
        (found,) = {place.metadata for place in self.world.topics.commits(self.world.group, self.world.input)}
        return found

    def end(self, count: int):
        """Everything flows again, and nothing is missing."""
        self.feed(count)
        self.world.await_drained()
        self.stop()
        self.world.findings().assert_exactly_once()


class Cause:
    """Befalls the last partition while the workers run, or `at_rest` while none does. Whether it ends `by_itself` for them, or
    they are started again with a flag."""

    code: str
    brokers = "kafka"
    at_rest = False
    by_itself = True
    can_be_fed = True
    settings: dict = {}

    def world(self, make_world, brokers, partitions: int) -> World:
        return make_world(brokers, partitions=partitions, settings=merged(BRISK, self.settings))

    def arguments(self, story: Story) -> list[str]:
        """Of the start that finds the partition bad."""
        return []

    def spoil(self, story: Story):
        raise NotImplementedError

    def mend(self, story: Story):
        raise NotImplementedError


class Gap(Cause):
    """Only an operator can tell that it is right to go on."""

    at_rest = True
    by_itself = False
    wanted: int | None
    """The committed offset that the broker holds, and that the operator accepts."""

    def mend(self, story: Story):
        world, right = story.world, accepting(story.world.input, story.bad, self.wanted)
        text = notes(story.holder)[story.bad].text
        assert " ".join(right) in text, text
        story.restart(accepting(world.input, story.bad, (self.wanted or 0) + 1))
        story.await_parked()
        before = len(lines(story.workers, GAP_ACCEPTED))
        story.restart(right)
        await_flowing(story.workers)
        assert len(lines(story.workers, GAP_ACCEPTED)) == before + 1
        assert sum(worker.figures().sum("gaps_accepted_total") for worker in story.workers) == 1
        origin = f"{world.input}/{story.bad}/{self.wanted or 0}"
        told = [header(record, "hourseal-reason") for record in world.topics.read(world.quarantine)
                if header(record, "hourseal-origin") == origin]
        assert told == ["given-up"], told


class InputGap(Gap):
    """Retention takes events that were not sealed yet. Those are lost, and no other ones."""

    code = "input-gap"

    def spoil(self, story):
        world = story.world
        self.wanted = story.committed()
        gone = world.topics.ends(world.input)[story.bad] - 10
        world.topics.delete_before(world.input, {story.bad: gone})
        world.ledger.give_up(story.bad, self.wanted, gone)


class ForeignOffset(Gap):
    """Somebody resets the group's offset, and skips five events."""

    code = "foreign-offset"

    def spoil(self, story):
        world, known = story.world, story.committed()
        self.wanted = known + 5
        await_empty(world)
        world.topics.commit(world.group, story.place(self.wanted))
        world.ledger.give_up(story.bad, known, self.wanted)


class TopicReplaced(Gap):
    """The input is deleted and created again. That befalls every partition, and all but the last one are accepted."""

    code = "topic-replaced"

    def spoil(self, story):
        world = story.world
        committed, ends = world.topics.committed(world.group, world.input), world.topics.ends(world.input)
        world.replace_input()
        for partition, end in ends.items():
            world.ledger.give_up(partition, committed[partition], end)
        wait_until(lambda: not world.topics.committed(world.group, world.input), 20, "the broker has dropped the offsets")
        self.wanted = None

    def arguments(self, story):
        return [word for partition in story.healthy for word in accepting(story.world.input, partition, None)]


class OffsetReplaced(Cause):
    """It ends when the offset is put back that the worker committed."""

    _ours: TopicPartition

    def mend(self, story):
        commit_offset(story.world, self._ours)
        await_flowing(story.workers)


class OtherStore(OffsetReplaced):
    """A worker with another key store has committed."""

    code = "other-store"
    at_rest = True

    def spoil(self, story):
        self._ours = story.place(story.committed(), story.metadata())
        store = self._ours.metadata.rpartition("=")[2]
        theirs = self._ours.metadata.replace(store, store[::-1])
        assert theirs != self._ours.metadata
        commit_offset(story.world, story.place(self._ours.offset, theirs))

class OffsetMoved(OffsetReplaced):
    """An offset arrives that the partition's lane has not committed. The lane looks after it has aborted a transaction."""

    code = "offset-moved"

    def spoil(self, story):
        world = story.world
        self._ours = story.place(story.committed(), story.metadata())
        commit_offset(world, story.place(self._ours.offset - 5, self._ours.metadata))
        world.topics.alter(world.output, message_timestamp_before_max_ms=str(2 * HOUR_MS))
        too_late = b'{"customer_id":"acme","occurred_at":"%s"}' % rfc3339(now_ms() - 5 * HOUR_MS).encode()
        feeder = Feeder(world)
        feeder.send(self._of_the_same_lane(story), None, (), too_late)
        feeder.finish()

    def _of_the_same_lane(self, story) -> int:
        _, places = assignment(story.world)[holder(story.world, story.bad)]
        return next(partition for _, partition in places if partition != story.bad)


class RecordRefused(Cause):
    """A record that cannot be sealed, and a quarantine that takes not even its place."""

    code = "record-refused"

    def spoil(self, story):
        world = story.world
        self._size = world.topics.settings(world.quarantine)["max.message.bytes"]
        world.topics.alter(world.quarantine, max_message_bytes=ONLY_MARKERS)
        feeder = Feeder(world)
        feeder.send(story.bad, None, (), b"not json")
        feeder.finish()

    def mend(self, story):
        world = story.world
        world.topics.alter(world.quarantine, max_message_bytes=self._size)
        await_flowing(story.workers)
        wait_until(lambda: len(world.topics.read(world.quarantine)) == 1, 20, "the record is in the quarantine")


class NoOutput(Cause):
    """Output partitions follow the input's, and the input gets one more."""

    code = "no-output"
    settings = merged(METADATA, {"seal": {"partitioner": "input"}})

    def world(self, make_world, brokers, partitions):
        return super().world(make_world, brokers, partitions - 1)

    def spoil(self, story):
        story.world.grow_input(story.bad + 1)
        story.feed(10, [story.bad])

    def mend(self, story):
        story.world.topics.add_partitions(story.world.output, story.bad + 1)
        await_flowing(story.workers)


class NoLeader(Cause):
    """The only broker that has the partition is dead when the worker starts."""

    code = "no-leader"
    brokers = "three_brokers"
    at_rest = True
    can_be_fed = False

    def world(self, make_world, brokers, partitions):
        # The broker wants the same number of replicas for all of them.
        replicas = [*([1 + number % 2] for number in range(partitions - 1)), [LONE_BROKER]]
        return make_world(brokers, replicas=replicas, settings=BRISK)

    def spoil(self, story):
        world = story.world
        world.kafka.kill(LONE_BROKER)
        wait_until(lambda: world.topics.leader(world.input, story.bad) == -1, 30, "the partition has no leader")

    def mend(self, story):
        story.world.kafka.up(LONE_BROKER)
        await_flowing(story.workers)


CAUSES = [InputGap, ForeignOffset, TopicReplaced, OtherStore, OffsetMoved, RecordRefused, NoOutput, NoLeader]
