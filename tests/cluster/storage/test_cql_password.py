"""A new password of the key store: a worker reads the file again when it connects, and needs no restart."""

import pytest
from cassandra.protocol import OverloadedErrorMessage
from children import wait_until
from oracle.events import job_events
from servers import Cassandra
from world import QUICK_SESSION, seeded

OLD, NEW = "guarded-51c0", "guarded-77fe"


@pytest.fixture
def guarded():
    with Cassandra(settings=Cassandra.GUARDED) as server:
        yield server


def changed(cql) -> bool:
    try:
        cql(f"ALTER ROLE worker WITH PASSWORD = '{NEW}'")
    except OverloadedErrorMessage:
        return False
    return True


def test_a_new_password_takes_no_restart_of_the_worker(kafka, guarded, make_world):
    world = make_world(kafka, store=guarded, settings=QUICK_SESSION, init=False)
    world.cli("store", "init", "--roles")
    cql, file = world.store.cql(), world.folder / "password"
    cql(f"CREATE ROLE worker WITH LOGIN = true AND PASSWORD = '{OLD}'")
    cql(f"GRANT {world.store.name}_eraser TO worker")
    file.write_text(OLD)
    worker = world.worker(settings={"store": {"user": "worker", "password_file": str(file)}})
    world.feed_some(job_events(seeded()), 1_000)
    world.await_drained()

    wait_until(lambda: changed(cql), 30, "the server takes a new password: it takes one in five seconds", every=1)
    guarded.tool("flush")
    guarded.kill(1)
    guarded.up(1)
    reason = wait_until(worker.why_not_ready, 60, "the old password is refused", alive=worker, every=0.5)
    print(f"the worker waits: {reason:.300}")
    world.feed_some(job_events(seeded(), name="further"), 1_000)
    assert world.lag() > 0 and not worker.is_ready(), "the control: nothing else has given it the new one"
    file.write_text(NEW)
    worker.await_ready(120)
    world.await_drained()
    worker.stop()
    world.findings().assert_exactly_once()
