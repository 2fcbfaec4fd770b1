"""Erasing by an unsigned command: the hour of events that a test seals, the command, its receipt, what opens afterwards."""

from itertools import count

from children import wait_until
from oracle.events import HOUR_MS, Event, rfc3339
from world import World

DUE_SOON = {"retention": {"default": "2h"}, "control": {"require_signatures": False}}


def events(customer: bytes, hour: int):
    """Endless: one in each millisecond of the hour."""
    for serial in count():
        at = hour * HOUR_MS + serial
        payload = b'{"customer_id":"%s","occurred_at":"%s","n":%d}' % (customer, rfc3339(at).encode(), serial)
        yield Event(customer, at, None, (), payload)


def erase(world: World, command: str, from_hour: int, to_hour: int, customer: str = "acme"):
    body = {"type": "erase", "customer": customer, "from_hour": from_hour, "to_hour": to_hour}
    world.command(id=command, reason="retention-end", **body)


def receipts_of(world: World, command: str) -> list[dict]:
    return [receipt for receipt in world.receipt_bodies() if command in values(receipt)]


def await_receipt(world: World, command: str) -> dict:
    (receipt,) = wait_until(lambda: receipts_of(world, command), 30, f"the receipt of {command}")
    return receipt


def values(tree) -> set:
    """All scalar values of a JSON tree: what a receipt says, wherever it says it."""
    if isinstance(tree, dict):
        return set().union(*map(values, tree.values()))
    if isinstance(tree, list):
        return set().union(*map(values, tree))
    return {tree}


def outcomes(world: World, customer: str, hour: int) -> set[str]:
    """What `open` says of a customer's records of an hour."""
    return {line["outcome"] for line in world.opened() if (line["customer"], line["hour"]) == (customer, hour)}
