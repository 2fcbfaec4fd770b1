"""A CQL server that speaks TLS only: found by its authority, and by nobody else."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from oracle.events import job_events
from servers import Cassandra
from world import seeded

PASSWORD = "keystore-51c0"


def keytool(*arguments) -> str:
    command = ["keytool", *map(str, arguments), "-storepass", PASSWORD, "-alias", "node"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def authority(folder: Path, name: str) -> tuple[Path, Path]:
    """A key with its own certificate for 127.0.0.1: the server's store, and the PEM that its clients trust."""
    store, pem = folder / f"{name}.p12", folder / f"{name}.pem"
    made = ["-keyalg", "RSA", "-keysize", "2048", "-dname", f"CN={name}", "-validity", "30", "-storetype", "PKCS12"]
    keytool("-genkeypair", "-keystore", store, *made, "-ext", "san=ip:127.0.0.1")
    pem.write_text(keytool("-exportcert", "-rfc", "-keystore", store))
    return store, pem


@pytest.fixture(scope="module")
def ours(tmp_path_factory) -> tuple[Path, Path]:
    return authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def server(ours) -> Iterator[Cassandra]:
    """Found at any address of this host, with a certificate for one."""
    options = f"{{enabled: true, optional: false, keystore: {ours[0]}, keystore_password: {PASSWORD}, store_type: PKCS12}}"
    anywhere = {"rpc_address": "0.0.0.0", "broadcast_rpc_address": "127.0.0.1"}
    with Cassandra(settings={"client_encryption_options": options, **anywhere}) as server:
        yield server


def test_a_worker_seals_over_tls_and_refuses_another_authority(kafka, server, ours, make_world, tmp_path):
    _, foreign = authority(tmp_path, "foreign")
    world = make_world(kafka, store=server, settings={"store": {"tls_ca_file": str(ours[1])}}, init=False)
    world.cli("store", "init")
    found = {line["what"]: line["grade"] for line in map(json.loads, world.cli("store", "check", "--json").splitlines())}
    assert found["store"] == "ok"
    worker = world.worker()
    world.feed_some(job_events(seeded(), late_share=0), 200)
    world.await_drained()
    assert {record["outcome"] for record in world.opened()} == {"opened"}
    worker.stop()
    said = world.cli("store", "check", code=69, errors=True, settings={"store": {"tls_ca_file": str(foreign)}})
    assert "certificate verify failed" in said, said


def test_a_certificate_for_another_address_is_refused(kafka, server, ours, make_world):
    elsewhere = {"tls_ca_file": str(ours[1]), "contact_points": [f"127.0.0.9:{server.port}"]}
    world = make_world(kafka, store=server, settings={"store": elsewhere}, init=False)
    assert "certificate verify failed" in world.cli("store", "init", code=69, errors=True)
