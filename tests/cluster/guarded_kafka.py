"""A broker that asks who one is, and gives its user `hourseal` one right after the other."""

from children import free_ports, wait_until
from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)
from servers import Kafka

SECRET = "guarded-7d1f"


class GuardedKafka(Kafka):
    """One more listener, with SASL/PLAIN; its user `hourseal` has no right until one is given."""

    def _properties(self, node):
        properties = super()._properties(node)
        self.guarded = f"127.0.0.1:{free_ports(1)[0]}"
        properties["listeners"] += f",CLIENT://{self.guarded}"
        properties["listener.security.protocol.map"] = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,CLIENT:SASL_PLAINTEXT"
        properties["sasl.enabled.mechanisms"] = "PLAIN"
        module = "org.apache.kafka.common.security.plain.PlainLoginModule"
        properties["listener.name.client.plain.sasl.jaas.config"] = f'{module} required user_hourseal="{SECRET}";'
        properties["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
        properties["super.users"] = "User:ANONYMOUS"
        return properties


def settings(guarded, password_file) -> dict:
    client = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "hourseal"}
    return {"kafka": {"bootstrap": guarded.guarded, "sasl_password_file": str(password_file), "client": client}}


def allow(
    guarded,
    kind: ResourceType,
    name: str,
    operation: AclOperation,
    permission=AclPermissionType.ALLOW,
    user: str = "hourseal",
    pattern=ResourcePatternType.LITERAL,
):
    admin = AdminClient({"bootstrap.servers": guarded.bootstrap})
    acl = AclBinding(kind, name, pattern, f"User:{user}", "*", operation, permission)
    for done in admin.create_acls([acl]).values():
        done.result(20)


def await_obeyed(guarded, topic: str):
    """The controller answers a grant when it is in its log, and the broker follows: in its order, so the last one tells, and has
    to be one that lets see the topic's settings."""
    client = settings(guarded, "")["kafka"]["client"]
    await_seen({"bootstrap.servers": guarded.guarded, "sasl.password": SECRET, **client}, topic)


def await_seen(user: dict, topic: str):
    """Waits until the user with these settings of librdkafka sees the topic's settings."""
    wait_until(lambda: sees_settings(AdminClient(user), topic), 20, f"the broker obeys what is granted on {topic}")


def sees_settings(user: AdminClient, topic: str) -> bool:
    try:
        return all(done.result(20) for done in user.describe_configs([ConfigResource("topic", topic)]).values())
    except KafkaException:
        return False
