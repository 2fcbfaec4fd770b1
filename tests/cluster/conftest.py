"""One broker and one CQL server per run, three CQL servers for the files that need them, one world per test."""

import re

import pytest
from cql import await_whole
from servers import Cassandra, Kafka
from world import LONG, World

LIVE = {"kafka", "own_kafka", "cassandra", "cassandra3", "quorum", "world", "make_world"}


def pytest_collection_modifyitems(items):
    for item in items:
        if LIVE & set(item.fixturenames):
            item.add_marker(pytest.mark.server)


@pytest.fixture(scope="session")
def kafka():
    with Kafka() as broker:
        yield broker


@pytest.fixture
def own_kafka():
    """For tests that stop the broker."""
    with Kafka() as broker:
        yield broker


@pytest.fixture(scope="session")
def cassandra():
    """One node, with the server's own default of Paxos."""
    with Cassandra(settings=Cassandra.PAXOS_V1, steady=LONG) as server:
        yield server


@pytest.fixture(params=["file", "cql"] if LONG else ["file"])
def store(request):
    """What `make_world` keeps the keys in. Both kinds of store answer alike (`tests/it/conformance`): only the long tier shows on
    both what is no claim about the store. What is one says so: `stores.on_each_store`, or `cql` or `quorum` by its name."""
    server = {"file": None, "cql": "cassandra", "quorum": "quorum"}[request.param]
    return request.getfixturevalue(server) if server else None


def nodes_of_three(paxos: str) -> Cassandra:
    return Cassandra(nodes=3, settings={"paxos_variant": paxos})


@pytest.fixture(scope="module", params=["v2", "v1"] if LONG else ["v2"])
def three_nodes(request):
    with nodes_of_three(request.param) as servers:
        yield servers


@pytest.fixture(scope="module")
def quorum():
    """Three nodes that nobody harms."""
    with nodes_of_three("v2") as servers:
        yield servers


@pytest.fixture
def cassandra3(three_nodes):
    """Three nodes, all of them up whatever the last test did; they go with the file that asked for them."""
    three_nodes.mend()
    await_whole(three_nodes)
    return three_nodes


@pytest.fixture
def make_world(request, tmp_path):
    """`make_world(kafka, store=cassandra, settings={..})`; what it started ends with the test."""
    worlds = []

    def make(kafka, **how) -> World:
        name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:60]
        folder = tmp_path / str(len(worlds))
        folder.mkdir()
        worlds.append(World(kafka, folder, name, **how))
        return worlds[-1]

    yield make
    for world in worlds:
        world.end()


@pytest.fixture
def world(kafka, make_world):
    return make_world(kafka)
