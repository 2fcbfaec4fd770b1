"""One broker per run, one world per test."""

import re

import pytest
from servers import Kafka
from world import World

LIVE = {"kafka", "own_kafka", "world", "make_world"}


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


@pytest.fixture
def make_world(request, tmp_path):
    """`make_world(kafka, settings={..})`; what it started ends with the test."""
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
