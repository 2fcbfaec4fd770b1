"""A broker that asks who one is: passwords come from files, and what is denied is named."""

import pytest
from confluent_kafka.admin import (
    AclOperation,
    ResourceType,
)
from guarded_kafka import SECRET, GuardedKafka, allow, await_obeyed, settings


@pytest.fixture
def guarded():
    with GuardedKafka() as broker:
        yield broker


def test_a_denied_right_ends_with_exit_78_and_names_the_topics(guarded, make_world, tmp_path):
    password = tmp_path / "password"
    password.write_text(SECRET + "\n")
    world = make_world(guarded, settings=settings(guarded, password))
    for operation in (AclOperation.READ, AclOperation.DESCRIBE_CONFIGS):
        allow(guarded, ResourceType.TOPIC, world.input, operation)
    await_obeyed(guarded, world.input)
    said = world.cli("run", code=78, errors=True)
    assert "denied" in said, said
    for topic in (world.output, world.quarantine, world.control, world.receipts):
        assert topic in said, said
    # Who opens has to see what is erased.
    opened = world.cli("open", "--from-beginning", code=78, errors=True)
    assert f"READ is denied for topic `{world.receipts}`" in opened, opened
    assert SECRET not in said and SECRET not in (world.folder / "cli.log").read_text()
