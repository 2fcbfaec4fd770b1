"""A right that is taken away for a moment. The broker must have an authorizer."""

from contextlib import contextmanager

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)
from world import World


@contextmanager
def reading_denied(world: World):
    """Nobody may read the input, nor commit its offsets."""

    def rule(operation, permission) -> AclBinding:
        return AclBinding(
            ResourceType.TOPIC, world.input, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", operation, permission
        )

    done(world.topics.admin.create_acls([rule(AclOperation.ALL, AclPermissionType.ALLOW)]))
    done(world.topics.admin.create_acls([rule(AclOperation.READ, AclPermissionType.DENY)]))
    yield
    place = (ResourceType.TOPIC, world.input, ResourcePatternType.LITERAL, None, None)
    done(world.topics.admin.delete_acls([AclBindingFilter(*place, AclOperation.READ, AclPermissionType.DENY)]))


def done(futures: dict):
    for future in futures.values():
        future.result(10)
