"""One DEK for each slot: the records and the tables of a CQL key store are asked, and have to say the same."""

from oracle.compare import Findings
from world import World


def assert_one_dek_per_slot(world: World, findings: Findings):
    """What the records say, and what the tables say: one key id each, live, and every key listed."""
    findings.assert_exactly_once()
    keys = world.keys()
    minted = keys.rows()
    assert {slot: {minted[slot].key_id} for slot in findings.key_ids} == findings.key_ids
    assert len({row.key_id for row in minted.values()}) == len(minted), "two slots share a key"
    gates = keys.gates()
    assert {(slot.customer, slot.hour) for slot in minted} == gates.keys(), "keys and gates differ"
    assert {(customer, hour // 24) for customer, hour in gates} <= keys.days(), "an unlisted key"
    assert {(*place, gate["due"]) for place, gate in gates.items()} <= keys.due_rows(), "the sweep would not meet it"
    assert world.topics.read(world.quarantine) == []
