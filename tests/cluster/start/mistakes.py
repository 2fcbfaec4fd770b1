"""Wrong set-ups of a newcomer, each with the command that meets it, the words of its first line, and its exit code.

A mistake is a function. It prepares the folder of a world, and returns the settings that are wrong."""

import http.server
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from children import free_ports, mount_disk, unmount
from confluent_kafka.admin import AclOperation as May
from confluent_kafka.admin import ResourcePatternType, ResourceType
from guarded_kafka import allow, await_seen
from secured_kafka import NOWHERE, PASSWORD, SecuredKafka
from world import QUICK_SESSION, RELEASE, World

AWAY, CONFIGURATION = 69, 78
# It waits: a right may be given while it runs.
RUNS_ON = None
NOBODY = 65_534
CHECK, LIST, RUN, CONFIG = ("topics", "check"), ("keys", "ls"), ("run",), ("config", "check")


class Place(NamedTuple):
    """What a mistake is made with."""

    world: World
    secured: SecuredKafka
    keep: Callable
    """Takes what ends something that has to last as long as the tests."""


class Mistake(NamedTuple):
    make: Callable[[Place], dict]
    command: tuple[str, ...]
    code: int | None
    says: tuple[str, ...]
    """The words of the first line."""
    hint: str
    env: dict[str, str]
    user: int | None

    @property
    def name(self) -> str:
        return self.make.__name__


MISTAKES: list[Mistake] = []


def mistake(command, code: int | None, *says: str, hint: str = "", env: dict | None = None, user: int | None = None):
    def register(make):
        MISTAKES.append(Mistake(make, command, code, says, hint, env or {}, user))
        return make

    return register


def client(**settings) -> dict:
    return {"kafka": {"client": settings}}


# --- the way to the cluster


@mistake(CHECK, AWAY, "connection refused", hint="kafka.bootstrap")
def wrong_port(_):
    return {"kafka": {"bootstrap": f"127.0.0.1:{free_ports(1)[0]}"}}


@mistake(CHECK, AWAY, "the host name cannot be resolved", "nowhere.invalid", hint="kafka.bootstrap")
def wrong_name(_):
    return {"kafka": {"bootstrap": "nowhere.invalid:9092"}}


class NoKafka(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass


@mistake(CHECK, AWAY, "the answer is not one of a Kafka broker")
def port_of_a_web_server(at):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), NoKafka)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    at.keep(server.shutdown)
    return {"kafka": {"bootstrap": f"127.0.0.1:{server.server_address[1]}"}}


@mistake(CHECK, CONFIGURATION, f"advertised address {NOWHERE}", hint="advertised.listeners")
def wrong_advertised_listener(at):
    return at.secured.reached_by("elsewhere")


@mistake(CHECK, CONFIGURATION, "plaintext on a TLS port", hint="security.protocol")
def plaintext_to_a_tls_port(at):
    return at.secured.reached_by("plain", at=at.secured.at["tls"])


@mistake(CHECK, CONFIGURATION, "TLS on a plaintext port", hint="security.protocol")
def tls_to_a_plaintext_port(at):
    return at.secured.reached_by("tls", at=at.secured.bootstrap)


@mistake(CHECK, CONFIGURATION, "the broker's certificate is not trusted", hint="ssl.ca.location")
def unknown_authority(at):
    return at.secured.reached_by("sasl_tls", **{"ssl.ca.location": str(at.secured.other_ca)})


@mistake(CHECK, CONFIGURATION, "is for another host name", hint="advertised.listeners")
def wrong_host_name_in_the_certificate(at):
    return at.secured.reached_by("sasl_tls", at=at.secured.at["sasl_tls"].replace("localhost", "127.0.0.1"))


@mistake(CHECK, CONFIGURATION, "the broker refuses the client's certificate, or requires one", hint="ssl.certificate.location")
def no_client_certificate(at):
    return at.secured.reached_by("tls", **{"ssl.certificate.location": None, "ssl.key.location": None})


# --- who one is


@mistake(CHECK, CONFIGURATION, "authentication failed", hint="kafka.sasl_password_file")
def wrong_password(at):
    return at.secured.reached_by("sasl", password=at.secured.wrong_password)


@mistake(CHECK, CONFIGURATION, "authentication failed", hint="sasl.username")
def wrong_password_over_tls(at):
    return at.secured.reached_by("sasl_tls", password=at.secured.wrong_password)


@mistake(CHECK, CONFIGURATION, "the broker does not offer the SASL mechanism", hint="sasl.mechanism")
def other_mechanism(at):
    return at.secured.reached_by("sasl", **{"sasl.mechanism": "SCRAM-SHA-256"})


@mistake(CHECK, CONFIGURATION, "SASL mechanism: FOO", hint="[kafka.client]")
def unknown_mechanism(at):
    return at.secured.reached_by("sasl", **{"sasl.mechanism": "FOO"})


@mistake(CHECK, CONFIGURATION, "SASL (", hint="security.protocol")
def no_sasl(at):
    return at.secured.reached_by("plain", at=at.secured.at["sasl"])


def granted(at: Place, *further: tuple) -> dict:
    """`guest` may do to the topics what a worker does, and the further things."""
    for kind, name, operation in further:
        allow(at.secured, kind, name, operation, user="guest", pattern=ResourcePatternType.PREFIXED)
    allow(at.secured, ResourceType.BROKER, "kafka-cluster", May.DESCRIBE_CONFIGS, user="guest")
    for operation in (May.READ, May.WRITE, May.CREATE, May.DESCRIBE_CONFIGS):
        allow(at.secured, ResourceType.TOPIC, at.world.name, operation, user="guest", pattern=ResourcePatternType.PREFIXED)
    settings = at.secured.reached_by("sasl", **{"sasl.username": "guest"})
    await_seen({"bootstrap.servers": settings["kafka"]["bootstrap"], "sasl.password": PASSWORD, **settings["kafka"]["client"]}, at.world.input)
    return settings


@mistake(RUN, CONFIGURATION, "the right CREATE is denied for topic", hint="grant")
def no_right_to_the_topics(at):
    return at.secured.reached_by("sasl", **{"sasl.username": "guest"})


@mistake(RUN, RUNS_ON, "the right READ is denied for group `hourseal.")
def no_right_to_the_group(at):
    return granted(at, (ResourceType.TRANSACTIONAL_ID, at.world.group, May.WRITE))


@mistake(RUN, RUNS_ON, "the right WRITE is denied for transactional id `hourseal.")
def no_right_to_the_transactional_id(at):
    return granted(at, (ResourceType.GROUP, at.world.group, May.READ))


# --- topics and brokers


@mistake(RUN, CONFIGURATION, ".sealed", "not exist", hint="topics create")
def missing_topics_that_are_not_created(_):
    return {"topics": {"create": False}}


@mistake(RUN, CONFIGURATION, ".sealed", "cleanup.policy", "compact")
def compacted_output(at):
    at.world.topics.create(at.world.output, partitions=8, settings={"cleanup.policy": "compact"})
    return {}


@mistake(RUN, CONFIGURATION, ".sealed", "partitions is 2, wanted at least 8")
def fewer_partitions_than_the_input(at):
    at.world.topics.create(at.world.output, partitions=2, settings={"retention.ms": "-1"})
    return {"seal": {"partitioner": "input"}}


@mistake(RUN, CONFIGURATION, "transaction.max.timeout.ms is 900000, wanted at least 1000000", "`transaction.timeout.ms`")
def longer_transactions_than_the_broker_allows(_):
    return {"kafka": {"producer": {"transaction.timeout.ms": "1000000"}, "consumer": {"session.timeout.ms": "1100000", "max.poll.interval.ms": "1200000"}}}


# --- settings


@mistake(CONFIG, CONFIGURATION, "lane.cuont", hint="count")
def unknown_setting(_):
    return {"lane": {"cuont": 2}}


@mistake(CONFIG, CONFIGURATION, "lane.batch_time", "50", hint="100ms")
def no_unit(_):
    return {"lane": {"batch_time": 50}}


@mistake(CONFIG, CONFIGURATION, "lane.batch_bytes", "16MB", hint="MiB")
def wrong_unit(_):
    return {"lane": {"batch_bytes": "16MB"}}


@mistake(("config", "show"), 0, "HOURSEAL_LANE_COUNT is ignored", "HOURSEAL__LANE__COUNT", env={"HOURSEAL_LANE_COUNT": "7"})
def unknown_variable(_):
    return {}


@mistake(CONFIG, CONFIGURATION, "securty.protocol", hint="[kafka.client]")
def unknown_setting_of_the_client(_):
    return client(**{"securty.protocol": "ssl"})


def text_file(at: Place, name: str) -> str:
    (at.world.folder / name).write_text("no key\n")
    (at.world.folder / name).chmod(0o600)
    return str(at.world.folder / name)


@mistake(CONFIG, CONFIGURATION, "ssl.ca.location", "no certificate")
def file_that_is_no_pem(at):
    return client(**{"security.protocol": "ssl", "ssl.ca.location": text_file(at, "no.pem")})


@mistake(CONFIG, CONFIGURATION, "trust.json", "the trust store")
def trust_store_that_is_none(at):
    return {"control": {"trust_store_file": text_file(at, "trust.json")}}


# --- files


def initialised(at: Place):
    at.world.cli("store", "init")


@mistake(RUN, CONFIGURATION, "root.key: No such file")
def vault_without_its_root_key(at):
    initialised(at)
    at.world.root_key_file.unlink()
    return {}


@mistake(RUN, CONFIGURATION, "it belongs to the KEK vault", "but this vault is")
def store_of_another_deployment(at):
    initialised(at)
    shutil.rmtree(at.world.vault)
    at.world.root_key_file.unlink()
    shutil.move(at.world.store.path.parent, at.world.folder / "older")
    initialised(at)
    shutil.rmtree(at.world.store.path.parent)
    shutil.move(at.world.folder / "older", at.world.store.path.parent)
    return {}


@mistake(RUN, CONFIGURATION, "another key store", hint="kafka.group")
def second_store_for_one_group(at):
    at.world.worker("first", settings=QUICK_SESSION).stop()
    return {**QUICK_SESSION, "store": {"path": str(at.world.folder / "other" / "keys.db")}}


@mistake(LIST, CONFIGURATION, "root.key", "mode 0644")
def root_key_that_others_may_read(at):
    initialised(at)
    at.world.root_key_file.chmod(0o644)
    return {}


@mistake(LIST, CONFIGURATION, "kek: No such file", hint="hourseal run")
def no_store_yet(_):
    return {}


def on_a_disk(at: Place) -> Path:
    """The key store's folder, on a disk of its own."""
    folder = at.world.store.path.parent
    folder.mkdir()
    mount_disk(folder, 4)
    at.keep(unmount, folder)
    folder.chmod(0o700)
    return folder


@mistake(RUN, CONFIGURATION, "data", "Read-only file system")
def read_only_folder(at):
    folder = on_a_disk(at)
    initialised(at)
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True, timeout=20)
    return {}


@mistake(RUN, AWAY, "keys.db", "is full")
def full_disk(at):
    folder = on_a_disk(at)
    with suppress(OSError), open(folder / "filler", "wb", buffering=0) as filler:
        while True:
            filler.write(bytes(1 << 12))
    return {}


@mistake(LIST, CONFIGURATION, "keys.db", "it belongs to user 0", user=NOBODY)
def files_of_another_user(at):
    initialised(at)
    for path in (at.world.vault, at.world.root_key_file, at.world.store.path.parent):
        for one in (path, *path.rglob("*")) if path.is_dir() else (path,):
            shutil.chown(one, NOBODY)
    shutil.chown(at.world.store.path, 0)
    return {}


# --- two processes


@mistake(RUN, CONFIGURATION, "cannot listen on 127.0.0.1", "in use", hint="admin.listen")
def taken_admin_port(at):
    taken = socket.create_server(("127.0.0.1", 0))
    at.keep(taken.close)
    return {"admin": {"listen": f"127.0.0.1:{taken.getsockname()[1]}"}}


def command(at: Place, one: Mistake, config: Path) -> dict:
    """What `subprocess` takes."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOURSEAL")}
    line = [RELEASE, *one.command, "--config", config]
    return {"args": line, "cwd": at.world.folder, "env": {**inherited, **one.env}, "user": one.user}
