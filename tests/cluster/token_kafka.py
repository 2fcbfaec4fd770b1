"""A broker with one more listener, of SASL/OAUTHBEARER. It takes tokens that are not signed (Kafka's own validator for that),
if they are valid now and have the scope `kafka`. A connection lives no longer than its token."""

from children import free_ports
from identity_provider import SCOPE
from servers import Kafka

MODULE = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"


class TokenKafka(Kafka):
    def _properties(self, node):
        properties = super()._properties(node)
        port = free_ports(1)[0]
        self.by_token = f"localhost:{port}"
        plain = properties["listeners"]
        properties["listeners"] = f"{plain},TOKEN://127.0.0.1:{port}"
        properties["advertised.listeners"] = f"{plain.split(',')[0]},TOKEN://{self.by_token}"
        properties["listener.security.protocol.map"] = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TOKEN:SASL_PLAINTEXT"
        properties["sasl.enabled.mechanisms"] = "OAUTHBEARER"
        listener = "listener.name.token.oauthbearer"
        # Kafka wants a login of the broker, too, which is not used.
        options = f'unsecuredLoginStringClaim_sub="broker" unsecuredValidatorRequiredScope="{SCOPE}"'
        properties[f"{listener}.sasl.jaas.config"] = f"{MODULE} required {options};"
        properties[f"{listener}.connections.max.reauth.ms"] = 3_600_000
        return properties


def settings(broker: TokenKafka, **tokens) -> dict:
    """What reaches the listener; `tokens` are the settings `kafka.sasl_oauth_*`."""
    client = {"security.protocol": "sasl_plaintext", "sasl.mechanism": "OAUTHBEARER"}
    oauth = {f"sasl_oauth_{name}": str(value) for name, value in tokens.items()}
    return {"kafka": {"bootstrap": broker.by_token, "client": client, **oauth}}
