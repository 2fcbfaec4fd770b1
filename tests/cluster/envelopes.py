"""Commands in envelopes that are made here, by PyNaCl and the letter of DSSE, not by our own code."""

import base64
import json
from datetime import UTC, datetime, timedelta

from nacl.signing import SigningKey
from oracle.events import HOUR_MS, now_ms
from world import World

HOUR = now_ms() // HOUR_MS - 1
KIND = "application/vnd.hourseal.command+json"


def enveloped(payload: bytes, *keys: SigningKey, kind: str = KIND) -> bytes:
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    signatures = [{"keyid": "x", "sig": base64.b64encode(key.sign(pae).signature).decode()} for key in keys]
    envelope = {"payloadType": kind, "payload": base64.b64encode(payload).decode(), "signatures": signatures}
    return json.dumps(envelope).encode()


def command(world: World, name: str, **changes) -> bytes:
    """An erasure of acme's `HOUR`, with these changes."""
    now = datetime.now(UTC)
    body = {"id": name, "type": "erase", "customer": "acme", "from_hour": HOUR, "to_hour": HOUR, "reason": "request",
            "issuer": "mallory-9", "deployment": store_of(world), "not_before": (now - timedelta(minutes=5)).isoformat(),
            "expires": (now + timedelta(minutes=5)).isoformat()}
    return json.dumps({name: value for name, value in (body | changes).items() if value is not None}).encode()


def store_of(world: World) -> str:
    """The store's id as the worker logs it at its start."""
    for line in (world.folder / "w0.log").read_text().splitlines():
        if '"store"' in line and "key store opened" in line:
            entry = json.loads(line)
            return entry.get("store") or entry["fields"]["store"]
    raise AssertionError("the log names no store")
