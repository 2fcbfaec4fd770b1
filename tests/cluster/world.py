"""One test's world: its own topics and folder on a real broker, the workers it starts, what it feeds and finds."""

import functools
import json
import os
import random
import signal
import subprocess
import threading
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from children import Child, free_ports, wait_until
from confluent_kafka import KafkaException, Producer
from metrics import Metrics
from oracle.compare import Findings, compare
from oracle.events import Event, Ledger, now_ms
from oracle.keystore import KeyStore
from servers import Cassandra
from stores import Keyspace, SqliteFile
from topics import COMMITTED, Topics

ROOT = Path(__file__).resolve().parents[2]
RELEASE = Path(os.environ.get("HOURSEAL_BIN", ROOT / "target/release/hourseal"))
TESTKIT = Path(os.environ.get("HOURSEAL_TESTKIT_BIN", ROOT / "target/release/hourseal-testkit"))
LONG = os.environ.get("HOURSEAL_TIER") == "long"

# Shorter, in the order that `config check` asks for: socket < transaction < session.
QUICK_SESSION = {
    "kafka": {
        "consumer": {"session.timeout.ms": "6000", "heartbeat.interval.ms": "1500"},
        "producer": {"transaction.timeout.ms": "5000", "socket.timeout.ms": "4000"},
    }
}
# As short as a busy machine allows: what lasts ten seconds outlasts all of them several times.
BRISK = {
    "kafka": {
        "consumer": {"session.timeout.ms": "3000", "heartbeat.interval.ms": "1000"},
        "producer": {"transaction.timeout.ms": "2500", "socket.timeout.ms": "2000"},
    }
}
# And who does not poll for ten seconds is taken for dead: whoever waits for something else has to poll on.
BRISK_POLLS = {"kafka": {**BRISK["kafka"], "consumer": {**BRISK["kafka"]["consumer"], "max.poll.interval.ms": "10000"}}}
# A broker waits half a second before it says that there is no more: what reads to the end, time and again, asks it not to.
AT_ONCE = {"kafka": {"client": {"fetch.wait.max.ms": "10"}}}


class Worker(Child):
    """A `hourseal run` or `hourseal canary` process."""

    def __init__(self, world: "World", instance: str, admin_port: int, command: list, **how):
        self.instance, self.admin_port = instance, admin_port
        self._admin = f"http://127.0.0.1:{admin_port}"
        super().__init__(command, log=world.folder / f"{instance}.log", env=world.env, cwd=world.folder, **how)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body; status 0 when nobody answers."""
        try:
            with urllib.request.urlopen(self._admin + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()
        except OSError as nobody:
            return 0, str(nobody)

    def is_ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def why_not_ready(self) -> str | None:
        """What /readyz says while it refuses; None while it is ready or silent."""
        status, body = self.get("/readyz")
        return body if status not in (0, 200) else None

    def metrics(self) -> str:
        status, body = self.get("/metrics")
        assert status == 200, body
        return body

    def figures(self) -> Metrics:
        return Metrics.parse(self.metrics())

    def await_ready(self, seconds: float = 40) -> "Worker":
        wait_until(self.is_ready, seconds, f"{self.instance} is ready ({self.get('/readyz')[1]!r:.300})", alive=self)
        return self

    def kill(self):
        self.send(signal.SIGKILL)

    def pause(self):
        self.send(signal.SIGSTOP)

    def resume(self):
        self.send(signal.SIGCONT)

    def stop(self, seconds: float = 30):
        """SIGTERM, and the exit that it promises."""
        self.send(signal.SIGTERM)
        assert self.wait(seconds) == 0, f"{self.instance}: exit {self.exit_code} after SIGTERM\n{self.tail()}"


class World:
    def __init__(
        self,
        kafka,
        folder: Path,
        name: str,
        *,
        store: Cassandra | None = None,
        init: bool = True,
        partitions: int = 8,
        replicas: list[list[int]] | None = None,
        binary: Path = RELEASE,
        settings=None,
    ):
        """`store`: keys live there, in a keyspace of this world that `init` creates; without it in a file. `replicas`: the
        brokers of each of the input's partitions."""
        assert binary.exists(), f"{binary} is missing: tests/run builds it"
        self.kafka, self.folder, self.binary = kafka, folder, binary
        self.topics = Topics(kafka.bootstrap)
        self.name = f"{name}-{os.urandom(3).hex()}"
        self.input, self.output = self.name, f"{self.name}.sealed"
        self.quarantine, self.control, self.receipts = (
            f"{self.name}.{suffix}" for suffix in ("quarantine", "control", "receipts")
        )
        self.group = f"hourseal.{self.name}"
        self.store = Keyspace(store, folder, name) if store else SqliteFile(folder)
        self.vault = folder / "kek"
        self.root_key_file = folder / "root.key"
        self.clock_file = folder / "clock"
        self.env: dict[str, str] = {}
        self.ledger = Ledger()
        self._settings = settings or {}
        self._admin_ports: dict[str, int] = {}
        self._workers: list[Worker] = []
        self._producer: Producer | None = None  # asking for an idempotent producer's id takes half a second
        self.partitions = len(replicas) if replicas else partitions
        self._input_settings = {"retention.ms": "-1"}
        self.topics.create(self.input, partitions=partitions, replicas=replicas, settings=self._input_settings)
        if store and init:
            self.cli("store", "init")

    # --- workers and commands

    def admin_port(self, instance: str) -> int:
        """The same one at each start of the instance."""
        if instance not in self._admin_ports:
            self._admin_ports[instance] = free_ports(1)[0]
        return self._admin_ports[instance]

    def config(self, instance: str, lanes: int = 1, settings: dict | None = None) -> Path:
        layers = {
            "instance": instance,
            "kafka": {"bootstrap": self.kafka.bootstrap, "group": self.group},
            "topics": {
                "input": self.input,
                "output": self.output,
                "quarantine": self.quarantine,
                "control": self.control,
                "receipts": self.receipts,
                "create": True,
            },
            "seal": {"stream": "jobs"},
            "lane": {"count": lanes},
            "kek": {"provider": "file", "path": str(self.vault), "root_key_file": str(self.root_key_file), "destroy": "0s"},
            "retention": {"default": "40d", "sweep": "0s"},
            # In the last minutes of an hour it would mint keys that no test has asked for.
            "ring": {"premint": "0s"},
            "control": {"require_signatures": False},
            "admin": {"listen": f"127.0.0.1:{self.admin_port(instance)}"},
            "log": {"format": "json"},
        }
        file = self.folder / f"{instance}.toml"
        file.write_text(to_toml(merged_all(layers, self.store.layers(), self._settings, settings or {})))
        return file

    def worker(
        self,
        instance: str = "w0",
        lanes: int = 1,
        *,
        ready: bool = True,
        arguments: Iterable[str] = (),
        settings: dict | None = None,
        **how,
    ) -> Worker:
        """Starts a worker, or starts one again under its old name; `settings` are its own, over the world's."""
        worker = self._serve("run", instance, self.config(instance, lanes, settings), *arguments, **how)
        return worker.await_ready() if ready else worker

    def canary(self, settings: dict | None = None) -> Worker:
        """Starts `hourseal canary`, beside the workers."""
        return self._serve("canary", "canary", self.config("canary", settings=settings))

    def _serve(self, command: str, instance: str, config: Path, *arguments: str, **how) -> Worker:
        line = [self.binary, command, "--config", config, *arguments]
        self._workers.append(Worker(self, instance, self._admin_ports[instance], line, **how))
        return self._workers[-1]

    def cli(
        self, *arguments: str, code: int = 0, errors: bool = False, bare: bool = False, settings: dict | None = None
    ) -> str:
        """Runs a command to its end and returns what it printed (with `errors`, what it complained about too); a reader
        needs no instance of its own. `settings` are this run's, over the world's; a `bare` command takes none."""
        config = [] if bare else ["--config", self.config("cli", settings=merged(AT_ONCE, settings or {}))]
        command = [self.binary, *arguments, *config]
        env = {**os.environ, **self.env}
        done = subprocess.run(command, capture_output=True, timeout=120, cwd=self.folder, env=env)
        with open(self.folder / "cli.log", "ab") as log:
            log.write(done.stderr)
        said = done.stdout.decode() + done.stderr.decode()
        assert done.returncode == code, f"{arguments}: exit {done.returncode}\n{said}"
        return said if errors else done.stdout.decode()

    def cli_json(self, *arguments: str) -> list[dict]:
        """One object per line, or one array."""
        text = self.cli(*arguments)
        if text.lstrip().startswith("["):
            return json.loads(text)
        return [json.loads(line) for line in text.splitlines()]

    def opened(self, topic: str | None = None) -> list[dict]:
        return self.cli_json("open", "--topic", topic or self.output, "--from-beginning")

    def refused(self, *words: str) -> str:
        """What a reader complains of who is refused a key store behind its receipts, having opened nothing."""
        said = self.cli(*(words or ("open", "--from-beginning")), code=78, errors=True)
        assert "older than its receipts" in said and '"outcome"' not in said, said
        return said

    @contextmanager
    def unguarded(self):
        """The control: readers do not look whether the key store is behind its receipts."""
        with self.without("guard"):
            yield

    @contextmanager
    def without(self, *promises: str):
        """Negative controls: what is started meanwhile does not keep these (see `testkit::is_off`)."""
        self.env["HOURSEAL_TESTKIT_OFF"] = ",".join(promises)
        yield
        del self.env["HOURSEAL_TESTKIT_OFF"]

    def set_clock(self, *, hours: float = 0, seconds: int = 0):
        """Moves the testkit clock of running and later processes, and what a CQL store says of its own."""
        for name in self.store.CLOCKS:
            self.env.setdefault(name, str(self.clock_file))
        write_clock(self.clock_file, int(hours * 3600) + seconds)

    def set_hour(self, hour: float):
        """As `set_clock`, to an hour since the epoch from now on."""
        self.set_clock(seconds=int(hour * 3600) - now_ms() // 1000)

    def end(self):
        for worker in self._workers:
            worker.send(signal.SIGKILL)
        self.store.end()

    # --- feeding

    def load(self, events: Iterator[Event], rate: int, *, stamped: bool = False) -> "Load":
        return Load(self, events, rate, stamped)

    def feed(self, events: Iterable[Event], *, stamped: bool = False, partitions: Iterable[int] | None = None):
        """Produces all of them, as fast as the broker takes them. `stamped`: event time as record time. `partitions`: only
        into these."""
        self._producer = self._producer or a_producer(self)
        feeder = Feeder(self, stamped, producer=self._producer, partitions=partitions)
        for event in events:
            feeder.put(event)
        feeder.finish()

    def feed_some(self, events: Iterator[Event], count: int, **how):
        self.feed(islice(events, count), **how)

    def grow_input(self, partitions: int):
        """Gives the input more partitions; `partitions` is how many it has then."""
        self.topics.add_partitions(self.input, partitions)
        self.partitions, self._producer = partitions, None  # the old one learns of them minutes later

    def replace_input(self):
        """Deletes the input and creates it again, empty."""
        self.topics.replace(self.input, partitions=self.partitions, settings=self._input_settings)
        self._producer = None  # it would number its records as in the old one

    def command(self, **body):
        """Puts one control message."""
        self.command_bytes(json.dumps(body).encode())

    def command_bytes(self, record: bytes):
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap, "log_level": 0})
        producer.produce(self.control, record)
        assert producer.flush(20) == 0

    # --- finding

    def lag(self, partitions: Iterable[int] | None = None) -> int:
        """Input records without a committed offset behind them, of all partitions unless some are named."""
        ends = self.topics.ends(self.input, partitions=partitions)
        try:
            committed = self.topics.committed(self.group, self.input)
        except KafkaException:  # offsets are pending in a transaction, or the coordinator moves
            return sum(ends.values())
        return sum(end - committed.get(partition, 0) for partition, end in ends.items())

    def await_drained(self, seconds: float = 90, partitions: Iterable[int] | None = None):
        what = "all of the input is committed" if partitions is None else f"partitions {list(partitions)} are committed"
        try:
            wait_until(lambda: self.lag(partitions) == 0, seconds, what, every=0.2)
            wait_until(lambda: self.topics.is_stable(self.output), 30, "no transaction is open on the output")
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.state()}") from None

    def state(self) -> str:
        """What a person would look at first when nothing moves on."""
        try:
            committed = self.topics.committed(self.group, self.input)
        except KafkaException as error:
            committed = f"not told: {error}"
        try:
            ends = self.topics.ends(self.input)
        except KafkaException as error:  # of a partition without a leader
            ends = f"not told: {error}"
        lines = [f"input {ends}", f"committed {committed}"]
        for worker in self._workers:
            code = "alive" if worker.alive else f"exit {worker.exit_code}"
            lines.append(f"{worker.instance}: {code}, {worker.get('/readyz')!r:.600}\n{worker.tail()}")
        return "\n".join(lines)

    def keys(self) -> KeyStore:
        return self.store.reader(self.vault, self.root_key_file)

    def findings(self) -> Findings:
        """Every event of the ledger against every record of the output."""
        assert self.topics.ends(self.output) == self.topics.ends(self.output, "read_uncommitted"), "a transaction hangs"
        findings = compare(self.ledger, self.topics.read(self.output, COMMITTED), self.keys())
        print(findings.summary())
        return findings

    def sealed_count(self) -> int:
        return len(self.topics.read(self.output))

    def receipt_bodies(self) -> list[dict]:
        return [json.loads(record.value()) for record in self.topics.read(self.receipts)]


def a_producer(world: World, settings: dict | None = None) -> Producer:
    base = {
        "bootstrap.servers": world.kafka.bootstrap,
        "enable.idempotence": True,
        "linger.ms": 5,
        "message.timeout.ms": 0,
        "queue.buffering.max.messages": 1_000_000,
        "log_level": 0,
    }
    return Producer({**base, **(settings or {})})


class Feeder:
    """Puts events into the input and into the ledger, partition by partition in one order."""

    def __init__(
        self,
        world: World,
        stamped: bool = False,
        settings: dict | None = None,
        producer: Producer | None = None,
        partitions: Iterable[int] | None = None,
    ):
        self._world, self._stamped, self._count = world, stamped, 0
        self._partitions = list(range(world.partitions) if partitions is None else partitions)
        self._failures: list[str] = []
        self._producer = producer or a_producer(world, settings)

    def put(self, event: Event):
        self._count += 1
        partition = self._partitions[self._count % len(self._partitions)]
        self._world.ledger.put(partition, event)
        stamp = {"timestamp": event.time_ms} if self._stamped else {}
        self.send(partition, event.key, event.headers, event.payload, **stamp)

    def send(self, partition: int, key, headers, payload, on_delivery=None, **stamp):
        """Puts any record, good or bad; the ledger does not know of it."""
        pairs = [(name.decode(), value) for name, value in headers]
        report = on_delivery or self._delivered
        while True:
            try:
                self._producer.produce(
                    self._world.input, payload, key, partition, on_delivery=report, headers=pairs, **stamp
                )
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)

    def finish(self):
        assert self._producer.flush(90) == 0, "the broker does not take the input"
        assert not self._failures, self._failures[:3]

    def _delivered(self, error, _message):
        if error is not None:
            self._failures.append(str(error))


class Load:
    """A steady stream of events while the body of the `with` does its harm."""

    TICK = 0.02

    def __init__(self, world: World, events: Iterator[Event], rate: int, stamped: bool):
        self._feeder = Feeder(world, stamped)
        self._events, self._rate = events, rate
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, *_):
        self._stop.set()
        self._thread.join(120)
        if kind is None:
            assert self._failure is None, self._failure
            self._feeder.finish()

    def _run(self):
        try:
            start, sent = time.monotonic(), 0
            while not self._stop.wait(self.TICK):
                due = int((time.monotonic() - start) * self._rate)
                for event in islice(self._events, due - sent):
                    self._feeder.put(event)
                sent = due
        except BaseException as failure:
            self._failure = failure


def seeded() -> random.Random:
    """Random and repeatable: the seed is printed, and HOURSEAL_SEED sets it."""
    seed = int(os.environ.get("HOURSEAL_SEED", 0)) or random.SystemRandom().randrange(1, 1 << 32)
    print(f"HOURSEAL_SEED={seed}")
    return random.Random(seed)


def write_clock(file: Path, seconds: int):
    fresh = file.with_suffix(".new")
    fresh.write_text(f"{seconds}\n")
    fresh.replace(file)


def merged_all(*layers: dict) -> dict:
    return functools.reduce(merged, layers, {})


def merged(base: dict, over: dict) -> dict:
    result = dict(base)
    for name, value in over.items():
        deeper = isinstance(value, dict) and isinstance(result.get(name), dict)
        result[name] = merged(result[name], value) if deeper else value
    return result


def to_toml(tree: dict) -> str:
    text = "".join(_section(tree, ()))
    assert tomllib.loads(text) == tree
    return text


def _section(tree: dict, path: tuple[str, ...]) -> Iterator[str]:
    for name, value in tree.items():
        if not isinstance(value, dict):
            yield f"{json.dumps(name)} = {json.dumps(value)}\n"
    for name, value in tree.items():
        if isinstance(value, dict):
            inner = (*path, name)
            yield f"\n[{'.'.join(json.dumps(word) for word in inner)}]\n"
            yield from _section(value, inner)
