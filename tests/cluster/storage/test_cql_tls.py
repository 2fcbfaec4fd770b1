"""A CQL server that speaks TLS only: found by its authority, and by nobody else."""

import json
import subprocess

from oracle.events import job_events
from servers import Cassandra
from world import seeded

PASSWORD = "keystore-51c0"


def keytool(*arguments) -> str:
    command = ["keytool", *map(str, arguments), "-storepass", PASSWORD, "-alias", "node"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def authority(folder, name: str, address: str = "127.0.0.1"):
    """A key with its own certificate for an address: the server's store, and the PEM that its clients trust."""
    store, pem = folder / f"{name}.p12", folder / f"{name}.pem"
    made = ["-keyalg", "RSA", "-keysize", "2048", "-dname", f"CN={name}", "-validity", "30", "-storetype", "PKCS12", "-ext", f"san=ip:{address}"]
    keytool("-genkeypair", "-keystore", store, *made)
    pem.write_text(keytool("-exportcert", "-rfc", "-keystore", store))
    return store, pem


def test_a_worker_seals_over_tls_and_refuses_another_authority(kafka, make_world, tmp_path):
    store, pem = authority(tmp_path, "ours")
    _, foreign = authority(tmp_path, "foreign")
    options = f"{{enabled: true, optional: false, keystore: {store}, keystore_password: {PASSWORD}, store_type: PKCS12}}"
    with Cassandra(settings={"client_encryption_options": options}) as server:
        trusting = {"store": {"tls_ca_file": str(pem)}}
        world = make_world(kafka, store=server, settings=trusting, init=False)
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


def test_a_certificate_for_another_address_is_refused(kafka, make_world, tmp_path):
    store, pem = authority(tmp_path, "ours", address="127.0.0.9")
    options = f"{{enabled: true, optional: false, keystore: {store}, keystore_password: {PASSWORD}, store_type: PKCS12}}"
    with Cassandra(settings={"client_encryption_options": options}) as server:
        world = make_world(kafka, store=server, settings={"store": {"tls_ca_file": str(pem)}}, init=False)
        assert "certificate verify failed" in world.cli("store", "init", code=69, errors=True)
