"""Real servers on loopback: Apache Kafka (KRaft) and Apache Cassandra, 1 or 3 nodes, from Maven artifacts.

    with Kafka(nodes=3) as kafka: ... kafka.bootstrap ... kafka.kill(2) ... kafka.up(2)

Ports are found when a server starts and its folder is new, so any number of them can run side by side.
`python tests/servers/servers.py kafka|cassandra [NODES]` starts one by hand until Ctrl-C.
"""

import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

from children import Child, discard, free_ports, mount_disk, scrap_folder, unmount, wait_until

LIB = Path(__file__).resolve().parent.parent / ".cache" / "lib"
JVM = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
STEADY_JVM = ["java", "-XX:+UseParallelGC", "-Xshare:auto"]

# Opcodes of the CQL native protocol.
ERROR, STARTUP, READY, OPTIONS, SUPPORTED, QUERY, RESULT = 0x00, 0x01, 0x02, 0x05, 0x06, 0x07, 0x08


class _Servers:
    """What both kinds share: a folder per node, start, readiness by a log line, faults, stop."""

    HEAP = "512m"
    kind: str
    ready_line: str
    ready_seconds: float

    def __init__(self, nodes: int, heap: str):
        assert nodes in (1, 2, 3)
        jars = LIB / self.kind
        assert any(jars.glob("*.jar")), f"no jars in {jars}: tests/run fetches them"
        self.classpath = f"{jars}/*"
        self.nodes = range(1, nodes + 1)
        self.heap = heap
        self.was_harmed = False
        self.folder = scrap_folder(f"hourseal-{self.kind}-")
        self._children: dict[int, Child] = {}
        self._launches: dict[int, int] = {}
        for node in self.nodes:
            (self.folder / str(node)).mkdir()
        try:
            self.configure()
            for node in self.nodes:
                self._launch(node)
            for node in self.nodes:
                self._await_ready(node)
            self.settle()
        except BaseException:
            self.stop()
            raise

    def configure(self):
        raise NotImplementedError

    def command(self, node: int) -> list[str]:
        raise NotImplementedError

    def settle(self):
        """What must hold between nodes once each of them is ready."""

    def clear(self):
        """What must be given back once all of them have ended."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for child in self._children.values():
            child.send(signal.SIGCONT)
            child.send(signal.SIGTERM)
        for child in self._children.values():
            child.end()
        self.clear()
        discard(self.folder)

    def kill(self, node: int, sig: signal.Signals = signal.SIGKILL):
        """SIGKILL: gone when this returns. SIGSTOP and SIGCONT: a server that hangs and comes back."""
        self.was_harmed = True
        self._children[node].send(sig)

    def up(self, *nodes: int):
        """Starts killed nodes on the data that they left, side by side."""
        for node in nodes:
            assert not self._children[node].alive
            self._launch(node)
        for node in nodes:
            self._await_ready(node)

    def mend(self):
        """Each node runs."""
        for child in self._children.values():
            child.send(signal.SIGCONT)
        self.up(*(node for node in self.nodes if not self._children[node].alive))

    @property
    def logs(self) -> list[Path]:
        return sorted(self.folder.glob("*/server.*.log"))

    def log(self, node: int) -> str:
        return self._children[node].text()

    def _launch(self, node: int):
        self._launches[node] = self._launches.get(node, 0) + 1
        log = self.folder / str(node) / f"server.{self._launches[node]}.log"
        self._children[node] = Child(self.command(node), log=log, cwd=self.folder / str(node))

    def _await_ready(self, node: int):
        child = self._children[node]
        what = f"{self.kind} node {node} is ready"
        wait_until(lambda: self.ready_line in child.text(), self.ready_seconds, what, alive=child)


class Kafka(_Servers):
    kind = "kafka"
    ready_line = "Kafka Server started"  # printed after the broker is registered and unfenced
    ready_seconds = 60
    CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"
    FORMAT: tuple[str, ...] = ()

    def __init__(self, nodes: int = 1, settings: dict[str, str] | None = None):
        self.settings = settings or {}
        super().__init__(nodes, self.HEAP)

    def configure(self):
        ports = free_ports(2 * len(self.nodes))
        self._client_port = dict(zip(self.nodes, ports))
        self._controller_port = dict(zip(self.nodes, ports[len(self.nodes) :]))
        self.bootstrap = ",".join(f"127.0.0.1:{port}" for port in self._client_port.values())
        for node in self.nodes:
            lines = "".join(f"{name}={value}\n" for name, value in self._properties(node).items())
            self._properties_file(node).write_text(lines)
            self.tool("kafka.tools.StorageTool", "format", "-t", self.CLUSTER_ID, "-c", self._properties_file(node), *self.FORMAT)

    def command(self, node):
        log = ["showDateTime=true", "dateTimeFormat=HH:mm:ss.SSS", "showShortLogName=true"]
        options = [f"-Dorg.slf4j.simpleLogger.{option}" for option in log]
        heap = [f"-Xms{self.heap}", f"-Xmx{self.heap}"]
        return [*JVM, *heap, *options, "-cp", self.classpath, "kafka.Kafka", self._properties_file(node)]

    def tool(self, main_class: str, *arguments, check: bool = True) -> str:
        """Runs one of Kafka's own tools and returns what it printed."""
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        command = [*JVM, "-Xmx256m", quiet, "-cp", self.classpath, main_class, *map(str, arguments)]
        return _run(command, check)

    @property
    def data_dirs(self) -> list[Path]:
        return [self.folder / str(node) / "data" for node in self.nodes]

    def _properties_file(self, node: int) -> Path:
        return self.folder / str(node) / "server.properties"

    def _properties(self, node: int) -> dict[str, object]:
        replicas = len(self.nodes)
        in_sync = 2 if replicas == 3 else 1
        voters = ",".join(f"{other}@127.0.0.1:{port}" for other, port in self._controller_port.items())
        return {
            "process.roles": "broker,controller",
            "node.id": node,
            # Some tests let a worker's clock run ahead of the broker's.
            "log.message.timestamp.after.max.ms": 2**63 - 1,
            "controller.quorum.voters": voters,
            "listeners": f"PLAINTEXT://127.0.0.1:{self._client_port[node]},"
            f"CONTROLLER://127.0.0.1:{self._controller_port[node]}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self.folder / str(node) / "data",
            "auto.create.topics.enable": "false",
            "default.replication.factor": replicas,
            "min.insync.replicas": in_sync,
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": in_sync,
            "share.coordinator.state.topic.replication.factor": replicas,
            "share.coordinator.state.topic.min.isr": in_sync,
            # so that faults and rebalances take seconds, not minutes
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
            "broker.heartbeat.interval.ms": 500,
            # A lone broker has no successor: fenced after a stall, it answers nobody until its next heartbeat.
            "broker.session.timeout.ms": 2000 if replicas > 1 else 9000,
            "log.retention.check.interval.ms": 1000,
            "log.initial.task.delay.ms": 500,
            "log.segment.delete.delay.ms": 1000,
            **self.settings,
        }


class Cassandra(_Servers):
    kind = "cassandra"
    ready_line = "Startup complete"
    ready_seconds = 120
    TOKENS = {1: -9223372036854775808, 2: -3074457345618258603, 3: 3074457345618258602}
    # What remains of the official jvm17-server.options when each is tried alone; the export is for JMX.
    MODULES = [
        *("--add-opens", "java.base/jdk.internal.ref=ALL-UNNAMED"),
        *("--add-opens", "java.base/sun.nio.ch=ALL-UNNAMED"),
        *("--add-opens", "java.base/java.io=ALL-UNNAMED"),
        *("--add-exports", "java.rmi/sun.rmi.registry=ALL-UNNAMED"),
    ]

    # What `settings` can be: the server's own default of Paxos; a server that asks who one is.
    PAXOS_V1 = {"paxos_variant": "v1"}
    GUARDED = {"authenticator": "PasswordAuthenticator", "authorizer": "CassandraAuthorizer"}
    SUPERUSER = ("cassandra", "cassandra")

    def __init__(
        self,
        nodes: int = 1,
        settings: dict[str, str] | None = None,
        disk_mb: int | None = None,
        steady: bool = False,
    ):
        """`disk_mb`: each node's tables lie on a disk of their own, of that size (a tmpfs); its commit log does not.

        `steady`: all of Java's compilers and more room, as where figures are taken; it starts and warms up more slowly."""
        self.steady = steady
        self.settings = settings or {}
        self.disk_mb = disk_mb
        self._disks: list[Path] = []
        super().__init__(nodes, "2g" if steady else self.HEAP)

    @property
    def user(self) -> tuple[str, str] | None:
        """Name and password of who may do everything, where the server asks."""
        return self.SUPERUSER if "authenticator" in self.settings else None

    def disk(self, node: int) -> Path:
        return self.folder / str(node) / "data"

    def configure(self):
        for node in self.nodes if self.disk_mb else ():
            self.disk(node).mkdir()
            mount_disk(self.disk(node), self.disk_mb)
            self._disks.append(self.disk(node))
        self.addresses = {node: f"127.0.0.{node}" for node in self.nodes}
        self.port, self._storage_port = free_ports(2, list(self.addresses.values()))
        self._jmx_port = dict(zip(self.nodes, free_ports(len(self.nodes))))
        self.contact_points = [f"{address}:{self.port}" for address in self.addresses.values()]
        for node in self.nodes:
            (self.folder / str(node) / "cassandra.yaml").write_text(self._yaml(node))
            (self.folder / str(node) / "logback.xml").write_text(LOGBACK)

    def command(self, node):
        folder = self.folder / str(node)
        cassandra = {
            "config": f"file://{folder}/cassandra.yaml",
            "storagedir": self.disk(node),
            "jmx.local.port": self._jmx_port[node],
            # no waiting for peers that cannot come: all nodes are seeds and their tokens are fixed
            "ring_delay_ms": 1000,
            "skip_wait_for_gossip_to_settle": 0,
            # how long one that missed a change of the schema waits until it asks for it (60 s)
            "migration_delay_ms": 1000,
            "superuser_setup_delay_ms": 0,
            "shutdown_announce_in_ms": 0,
        }
        options = [f"-Dcassandra.{name}={value}" for name, value in cassandra.items()]
        options += ["-Dcassandra-foreground=yes", f"-Dlogback.configurationFile={folder}/logback.xml"]
        heap = [f"-Xms{self.heap}", f"-Xmx{self.heap}"]
        daemon = "org.apache.cassandra.service.CassandraDaemon"
        jvm = STEADY_JVM if self.steady else JVM
        return [*jvm, *heap, *self.MODULES, *options, "-cp", self.classpath, daemon]

    def settle(self):
        for node in self.nodes:
            wait_until(lambda node=node: self._sees_its_peers(node), 30, f"node {node} sees its peers")
        for node in self.nodes if len(self.nodes) > 1 else ():
            wait_until(lambda node=node: self._tells_its_peers(node), 30, f"node {node} tells clients of its peers")
        if self.user:
            made = "Created default superuser role"
            wait_until(lambda: any(made in self.log(node) for node in self.nodes), 60, "the superuser is there")

    def clear(self):
        while self._disks:
            unmount(self._disks.pop())

    def holds_dead(self, node: int, other: int) -> bool:
        """Whether `node` sends nothing to `other` by now."""
        name = f"{self.addresses[other]}:{self._storage_port} is now"
        log = self.log(node)
        return log.rfind(f"{name} DOWN") > log.rfind(f"{name} UP")

    def _sees_its_peers(self, node: int) -> bool:
        others = [address for other, address in self.addresses.items() if other != node]
        return all(f"{address}:{self._storage_port} is now UP" in self.log(node) for address in others)

    def _tells_its_peers(self, node: int) -> bool:
        """Up to 3 s later than it sees them: till then a client of this node does not know all nodes."""
        peers = self.query("SELECT count(tokens) FROM system.peers", node)
        return int.from_bytes(peers[-8:]) == len(self.nodes) - 1

    def tool(self, *arguments, node: int = 1) -> str:
        """Runs nodetool against `node` and returns what it printed."""
        logback = f"-Dlogback.configurationFile={self.folder}/{node}/logback.xml"
        options = [*self.MODULES, f"-Dcassandra.storagedir={self.folder}/nodetool", logback]
        main = ["org.apache.cassandra.tools.NodeTool", "-p", str(self._jmx_port[node])]
        return _run([*JVM, "-Xmx128m", *options, "-cp", self.classpath, *main, *arguments], check=True)

    def query(self, cql: str, node: int = 1, answer: int = RESULT) -> bytes:
        """Runs one CQL statement over native protocol v4 and returns the body of the answer, a RESULT or ERROR frame."""
        with socket.create_connection((self.addresses[node], self.port), timeout=10) as connection:
            stream = connection.makefile("rwb")
            assert _call(stream, OPTIONS, b"")[0] == SUPPORTED
            assert _call(stream, STARTUP, b"\x00\x01" + _text("CQL_VERSION") + _text("3.0.0"))[0] == READY
            statement = cql.encode()
            opcode, body = _call(stream, QUERY, struct.pack(">I", len(statement)) + statement + b"\x00\x01\x00")
        assert opcode == answer, body
        return body

    @property
    def data_dirs(self) -> list[Path]:
        return [self.disk(node) for node in self.nodes]

    def _yaml(self, node: int) -> str:
        memtables = "256MiB" if self.steady else "32MiB"
        lines = {
            "cluster_name": "hourseal",
            "num_tokens": 1,
            "initial_token": f'"{self.TOKENS[node]}"',
            "auto_bootstrap": "false",
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "endpoint_snitch": "SimpleSnitch",
            "seed_provider": "[{class_name: org.apache.cassandra.locator.SimpleSeedProvider,"
            f' parameters: [{{seeds: "{",".join(self.addresses.values())}"}}]}}]',
            "listen_address": self.addresses[node],
            "rpc_address": self.addresses[node],
            "native_transport_port": self.port,
            "storage_port": self._storage_port,
            "commitlog_directory": self.folder / str(node) / "commitlog",
            "commitlog_sync": "periodic",
            "commitlog_sync_period": "10000ms",
            # as in the file that the server is shipped with: one that cannot write closes its doors
            "commit_failure_policy": "stop",
            "disk_failure_policy": "stop",
            "disk_access_mode": "standard",
            "concurrent_compactors": 1,
            # With slabs each table takes a MiB with its first row: a few keyspaces side by side, and all is flushed all the time.
            "memtable_allocation_type": "unslabbed_heap_buffers",
            "memtable_heap_space": memtables,
            "memtable_offheap_space": memtables,
            "file_cache_size": "32MiB",
            "storage_compatibility_mode": "NONE",
            "auto_snapshot": "false",
            "paxos_variant": "v2",
            **self.settings,
        }
        return "".join(f"{name}: {value}\n" for name, value in lines.items())


LOGBACK = """<configuration>
  <appender name="S" class="ch.qos.logback.core.ConsoleAppender"><encoder>
    <pattern>%d{HH:mm:ss.SSS} %-5level [%thread] %logger{0} - %msg%n</pattern></encoder></appender>
  <root level="INFO"><appender-ref ref="S"/></root>
</configuration>
"""


def _call(stream, opcode: int, body: bytes) -> tuple[int, bytes]:
    stream.write(struct.pack(">BBHBI", 0x04, 0, 0, opcode, len(body)) + body)
    stream.flush()
    _version, _flags, _stream, answer, length = struct.unpack(">BBHBI", stream.read(9))
    return answer, stream.read(length)


def _text(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


def _run(command: list[str], check: bool) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _by_hand(kind: str, nodes: str = "1"):
    with {"kafka": Kafka, "cassandra": Cassandra}[kind](int(nodes)) as servers:
        print(servers.bootstrap if kind == "kafka" else ",".join(servers.contact_points), flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    _by_hand(*sys.argv[1:])
