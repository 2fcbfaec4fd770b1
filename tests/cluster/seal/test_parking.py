"""A partition that cannot be read is parked with its reason: it alone stops, and it flows again when the reason is gone."""

import time

import pytest
from causes import CAUSES, METADATA, InputGap, Story
from parked import ASSIGNED, FLOWS_AGAIN, PARKED, accepting, await_all_parked, await_flowing, await_parked, lines, unmet
from plain import plain_events
from transactional_offsets import commit_offset
from world import BRISK, LONG, merged

PARTITIONS, NAMES = (8, ("w0", "w1")) if LONG else (4, ("w0",))
SOME, MANY = (2_000, 70_000) if LONG else (100, 300)


def seconds_to_flow(story: Story) -> float:
    began = time.monotonic()
    story.flow(MANY)
    return time.monotonic() - began


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.code)
def test_a_bad_partition_stops_alone_until_its_reason_is_gone(request, make_world, cause):
    """The long tier tells what that costs the others."""
    cause = cause()
    world = cause.world(make_world, request.getfixturevalue(cause.brokers), PARTITIONS)
    story = Story(world, cause, PARTITIONS, NAMES)
    story.begin(SOME)
    undisturbed = seconds_to_flow(story)

    story.spoil(SOME)
    stands = story.committed()
    (line,) = lines([story.holder], PARKED)[-1:]
    assert line["level"] == "WARN" and cause.code in str(line), line
    said = len(lines(story.workers, PARKED))
    disturbed = seconds_to_flow(story)
    print(f"{cause.code}: the others flow at {undisturbed / disturbed:.2f} of their rate")
    story.await_parked()
    assert story.committed() == stands
    # Some causes break a rule for topics, too.
    assert all(worker.is_ready() or unmet(worker) == {"topics"} for worker in story.workers)
    assert len(lines(story.workers, PARKED)) == said, "it is looked at again and again, and told once"

    cause.mend(story)
    if cause.by_itself:
        (line,) = lines(story.workers, FLOWS_AGAIN)
        assert line["level"] == "INFO", line
    story.end(SOME)


def test_a_flag_that_has_accepted_a_gap_accepts_no_second_one(kafka, make_world):
    """It is still in the worker's unit file. The second gap has the same offset and ends by itself."""
    cause = InputGap()
    story = Story(cause.world(make_world, kafka, 2), cause, 2)
    story.begin(SOME)
    story.stop()
    story.feed(SOME)
    cause.spoil(story)
    flag = accepting(story.world.input, story.bad, cause.wanted)
    story.start(flag)
    story.world.await_drained()
    story.stop()

    right = story.place(story.committed(), story.metadata())
    commit_offset(story.world, story.place(cause.wanted, right.metadata))
    story.start(flag)
    story.await_parked()
    story.flow(SOME)
    assert story.committed() == cause.wanted
    assert story.holder.figures().sum("gaps_accepted_total") == 0
    commit_offset(story.world, right)
    await_flowing(story.workers)
    assert lines(story.workers, FLOWS_AGAIN)[-1]["level"] == "INFO"
    story.end(SOME)


def test_a_parked_partition_moves_with_a_rebalance_and_stays_parked(kafka, make_world):
    cause = InputGap()
    story = Story(cause.world(make_world, kafka, 8), cause, 8, ("w0", "w1"))
    world = story.world
    story.begin(SOME)
    story.spoil(SOME)
    moved = [worker for worker in story.workers if worker is not story.holder]
    story.holder.stop()
    await_parked(moved, story.bad, cause.code)
    story.flow(SOME)

    story.workers = [*moved, world.worker(story.holder.instance)]
    story.await_parked()
    story.flow(SOME)
    assert story.committed() == cause.wanted
    story.stop()
    unread = world.topics.marks(world.input)[story.bad]
    world.ledger.give_up(story.bad, *unread)
    world.findings().assert_exactly_once()


def test_records_that_are_deleted_before_a_lane_has_read_them_park_it(kafka, make_world):
    """No rebalance and no restart tells of it, only the broker's answer to the next fetch."""
    world, events = make_world(kafka, partitions=2), plain_events()
    worker = world.worker()
    world.feed_some(events, SOME)
    world.await_drained()
    read, assigned = world.topics.ends(world.input)[0], len(lines([worker], ASSIGNED))
    worker.pause()
    time.sleep(1)  # the broker has answered the fetch that was under way: it waits for half a second
    world.feed_some(events, SOME, partitions=[0])
    end = world.topics.ends(world.input)[0]
    world.topics.delete_before(world.input, {0: end})
    worker.resume()

    await_parked([worker], 0, "input-gap")
    world.feed_some(events, SOME, partitions=[1])
    world.await_drained(partitions=[1])
    assert world.topics.committed(world.group, world.input)[0] == read
    assert len(lines([worker], ASSIGNED)) == assigned, "a rebalance has told it"
    worker.stop()
    world.ledger.give_up(0, read, end)
    world.findings().assert_exactly_once()


def test_an_input_that_is_replaced_under_a_worker_loses_nothing_untold(kafka, make_world):
    """It is filled beyond the old positions at once. What is read before the notice is sealed a second time, and that is told."""
    world, events = make_world(kafka, partitions=4, settings=merged(BRISK, METADATA)), plain_events()
    worker = world.worker()
    world.feed_some(events, SOME)
    world.await_drained()
    for _ in range(10 if LONG else 1):
        world.replace_input()
        world.feed_some(events, 3 * SOME)
        await_all_parked(worker, {0, 1, 2, 3}, "topic-replaced")
        worker.stop()
        committed = world.topics.committed(world.group, world.input)
        flags = [word for partition in range(4) for word in accepting(world.input, partition, committed.get(partition))]
        worker = world.worker(arguments=flags)
        world.await_drained()
    worker.stop()
    found = world.findings()
    assert (found.lost, found.alien, found.unopened, found.wrong_slot) == (0, [], [], []), found.summary()
