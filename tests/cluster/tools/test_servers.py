"""The other real server that this folder can start; the CQL store is tested against it."""


def test_cassandra_answers_a_query(cassandra):
    assert b"5.0" in cassandra.query("SELECT release_version FROM system.local")
