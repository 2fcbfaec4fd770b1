"""Kafka behind a fault proxy: clients that come to `front` are told of the proxy's ports and stay behind it.

`bootstrap` is the way past the proxy: for what a test asks itself, and between brokers.
"""

from children import free_ports
from kafka_proxy import Proxy
from servers import Kafka

UNREPLICATED = {
    "default.replication.factor": 1,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.replication.factor": 1,
    "share.coordinator.state.topic.replication.factor": 1,
}


class ProxiedKafka(Kafka):
    """Two brokers, one of them the controller. Where there is one, a connection that closes means "all brokers are
    down" to a client, and the client says so: no story about what it does not say could be told."""

    HEAP = "320m"

    def __init__(self, settings: dict[str, object] | None = None):
        super().__init__(2, {**UNREPLICATED, **(settings or {})})

    def configure(self):
        count = len(self.nodes)
        ports = free_ports(2 * count)
        self._front_port = dict(zip(self.nodes, ports))
        self._proxied_port = dict(zip(self.nodes, ports[count:]))
        self.front = ",".join(f"127.0.0.1:{port}" for port in self._front_port.values())
        self.proxy = Proxy({self._front_port[node]: self._proxied_port[node] for node in self.nodes})
        super().configure()

    def clear(self):
        self.proxy.stop()

    def _properties(self, node: int) -> dict[str, object]:
        properties = super()._properties(node)
        properties["controller.quorum.voters"] = f"1@127.0.0.1:{self._controller_port[1]}"
        if node != 1:
            properties["process.roles"] = "broker"
            properties["listeners"] = f"PLAINTEXT://127.0.0.1:{self._client_port[node]}"
        direct = f"PLAINTEXT://127.0.0.1:{self._client_port[node]}"
        properties["listeners"] += f",PROXIED://127.0.0.1:{self._proxied_port[node]}"
        properties["advertised.listeners"] = f"{direct},PROXIED://127.0.0.1:{self._front_port[node]}"
        properties["listener.security.protocol.map"] = "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT"
        properties["inter.broker.listener.name"] = "PLAINTEXT"
        return properties
