"""Who is in a world's consumer group, and who of them holds what."""

from children import wait_until
from world import World


def assignment(world: World) -> dict:
    """Who holds what, and as which member: a rebalance would show here."""
    members = world.topics.group(world.group).members
    return {
        member.group_instance_id: (
            member.member_id,
            sorted((place.topic, place.partition) for place in member.assignment.topic_partitions),
        )
        for member in members
    }


def settled(world: World) -> bool:
    group = world.topics.group(world.group)
    places = [place for member in group.members for place in member.assignment.topic_partitions]
    held = sum(place.topic == world.input for place in places)
    return group.state.name == "STABLE" and held == world.partitions


def instances(world: World) -> set[str]:
    return {member.group_instance_id for member in world.topics.group(world.group).members}


def holder(world: World, partition: int) -> str:
    """Group instance of the member that has a partition of the input."""
    wait_until(lambda: settled(world), 30, "the group is stable")
    (found,) = [name for name, (_, places) in assignment(world).items() if (world.input, partition) in places]
    return found


def await_empty(world: World):
    """A static member stays until its session ends."""
    wait_until(lambda: not world.topics.group(world.group).members, 40, "the members' sessions are over")
