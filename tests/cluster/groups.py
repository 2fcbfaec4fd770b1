"""Who is in a world's consumer group, and who of them holds what."""

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
    held = sum(len(member.assignment.topic_partitions) for member in group.members)
    return group.state.name == "STABLE" and held == world.partitions


def instances(world: World) -> set[str]:
    return {member.group_instance_id for member in world.topics.group(world.group).members}
