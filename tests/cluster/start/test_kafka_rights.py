"""A broker that asks who one is: passwords come from files, and what is denied is named."""

import pytest
from children import wait_until
from confluent_kafka.admin import (
    AclOperation,
    ResourceType,
)
from guarded_kafka import SECRET, GuardedKafka, allow, await_obeyed, settings
from world import LONG


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


@pytest.mark.skipif(not LONG, reason="half a minute; start/test_wrong_setups has its line")
def test_a_missing_right_on_the_transactional_id_is_named_with_the_id(guarded, make_world, tmp_path):
    """As soon as the right is there, the same process seals."""
    password = tmp_path / "password"
    password.write_text(SECRET + "\n")
    world = make_world(guarded)
    # Another worker has made the topics.
    world.worker("w0").stop()
    for kind in (ResourceType.TOPIC, ResourceType.GROUP):
        allow(guarded, kind, "*", AclOperation.ALL)
    await_obeyed(guarded, world.input)
    mine = {**settings(guarded, password), "control": {"execute": False}}
    worker = world.worker("w1", ready=False, settings=mine)
    name = f"{world.group}.w1.0"
    why = f"the right WRITE is denied for transactional id `{name}`"
    wait_until(lambda: why in worker.text(), 40, "the log names the right", alive=worker)
    assert not worker.is_ready()
    for operation in (AclOperation.WRITE, AclOperation.DESCRIBE):
        allow(guarded, ResourceType.TRANSACTIONAL_ID, name, operation)
    worker.await_ready(60)
    worker.stop()
