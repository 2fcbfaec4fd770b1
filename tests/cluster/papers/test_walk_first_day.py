"""The first day of a stranger: each command of docs/first-day.md works as written, on a Kafka with TLS, SCRAM and ACLs.

The test gives what an administrator gives: the broker, its user, and the rights of the page's own table. Kafka's producer and
Prometheus are the real ones, and the durations of Prometheus are divided by one factor."""

import re
import shutil
import time

import pytest
from children import free_ports
from confluent_kafka.admin import AclOperation, ResourcePatternType, ResourceType
from guarded_kafka import allow
from papers.commands import Block, Running, surroundings
from papers.walk import Walk, await_a_whole_hour
from prometheus import FACTOR, RULES, faster, program
from secured_kafka import SecuredKafka
from world import ROOT

PAPER = ROOT / "docs/first-day.md"
BESIDE, STOPPED = "runs beside", "after Ctrl-C"
RIGHT = re.compile(r"^\| (topic|group|transactional id|cluster) \| `([\w.-]+)(\*?)` \| ([A-Z_, ]+) \|$", flags=re.MULTILINE)


class FirstDay(Walk):
    """Also has a process beside the worker, and blocks before which a reader stops the worker."""

    def __init__(self, secured: SecuredKafka, folder):
        super().__init__(secured.at["sasl_tls"], folder)
        rules = folder.parent / "rules.yml"
        rules.write_text(faster(RULES.read_text(), FACTOR))
        self.places |= {
            "localhost:9093": secured.at["sasl_tls"],
            "127.0.0.1:9090": f"127.0.0.1:{free_ports(1)[0]}",
            "~/hourseal/docker/rules.yml": str(rules),
            "~/hourseal": str(ROOT),
            **{line: faster(line, FACTOR) for line in ("  scrape_interval: 15s", "  evaluation_interval: 15s")},
        }
        self.beside: Running | None = None
        self.give(secured)

    def give(self, secured: SecuredKafka):
        """The files of an administrator, and two programs on the path."""
        shutil.copy(secured.ca, self.folder / "ca.pem")
        shutil.copy(secured.password, self.folder / "password")
        surroundings(self.folder, self.env)
        programs = self.folder.parent / f"{self.folder.name}.bin"
        (programs / "prometheus").symlink_to(shutil.which(program()))
        producer = programs / "kafka-console-producer.sh"
        producer.write_text(f'#!/bin/sh\nexec java -Xmx256m -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "{secured.classpath}" org.apache.kafka.tools.ConsoleProducer "$@"\n')
        producer.chmod(0o755)

    def step(self, block: Block):
        if block.marker == BESIDE:
            self.beside = Running(block, self.folder, self.env)
            self.executed += 1
        elif block.marker == STOPPED:
            self.end()
            super().step(Block(block.path, block.line, block.language, block.text))
        else:
            super().step(block)

    def close(self):
        self.end()
        if self.beside:
            self.beside.end()


def grant(secured: SecuredKafka):
    """The rights of the page's table."""
    rows = RIGHT.findall(PAPER.read_text())
    assert len(rows) == 4
    for kind, name, prefix, operations in rows:
        kind = ResourceType["BROKER" if kind == "cluster" else kind.replace(" ", "_").upper()]
        pattern = ResourcePatternType.PREFIXED if prefix else ResourcePatternType.LITERAL
        for operation in operations.split(", "):
            allow(secured, kind, name, AclOperation[operation], user="worker", pattern=pattern)


@pytest.fixture
def walk(tmp_path):
    with SecuredKafka() as secured:
        grant(secured)
        await_a_whole_hour(5)
        walk = FirstDay(secured, tmp_path / "here")
        yield walk
        walk.close()


def test_a_stranger_walks_from_a_build_to_an_alert(walk):
    begun = time.monotonic()
    walk.paper(PAPER)
    print(f"walked in {time.monotonic() - begun:.0f} s: {walk.executed} blocks, {walk.compared} outputs")
    assert (walk.executed, walk.compared) == (15, 7) and walk.beside and walk.beside.alive
