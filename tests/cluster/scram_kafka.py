"""A broker with one more listener, of SASL/SCRAM-SHA-256. Its users are in the cluster's metadata, so a password can be changed
while the broker runs. A connection has to show it again after ten seconds."""

from children import free_ports, wait_until
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
from servers import Kafka

USER = "hourseal"


class ScramKafka(Kafka):
    def _properties(self, node):
        properties = super()._properties(node)
        self.by_password = f"127.0.0.1:{free_ports(1)[0]}"
        properties["listeners"] += f",CLIENT://{self.by_password}"
        properties["listener.security.protocol.map"] = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,CLIENT:SASL_PLAINTEXT"
        properties["sasl.enabled.mechanisms"] = "SCRAM-SHA-256"
        listener = "listener.name.client.scram-sha-256"
        module = "org.apache.kafka.common.security.scram.ScramLoginModule"
        properties[f"{listener}.sasl.jaas.config"] = f"{module} required;"
        properties[f"{listener}.connections.max.reauth.ms"] = 10_000
        return properties

    def set_password(self, password: str):
        """Returns when the broker takes the new one."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
        change = UserScramCredentialUpsertion(USER, info, password.encode())
        for done in admin.alter_user_scram_credentials([change]).values():
            done.result(20)
        wait_until(lambda: self.takes(password), 30, "the broker takes the new password")

    def takes(self, password: str) -> bool:
        client = {**settings(self, "")["kafka"]["client"], "bootstrap.servers": self.by_password, "log_level": 0}
        try:
            return bool(AdminClient({**client, "sasl.password": password}).list_topics(timeout=5))
        except KafkaException:
            return False


def settings(broker: ScramKafka, password_file) -> dict:
    client = {"security.protocol": "sasl_plaintext", "sasl.mechanism": "SCRAM-SHA-256", "sasl.username": USER}
    return {"kafka": {"bootstrap": broker.by_password, "sasl_password_file": str(password_file), "client": client}}
