"""Events that are all of one size, for stories that count bytes."""

import json
import time
from collections.abc import Iterator
from itertools import count

from oracle.events import Event, now_ms, rfc3339

CUSTOMERS = 5


def plain_events(size: int = 200) -> Iterator[Event]:
    """Endless, no two alike, each about `size` bytes long."""
    run = time.time_ns()
    for number in count():
        at, customer = now_ms(), f"customer-{number % CUSTOMERS}"
        body = {"customer_id": customer, "occurred_at": rfc3339(at), "job": f"{run}-{number:06}", "log": ""}
        body["log"] = "x" * (size - len(json.dumps(body)))
        yield Event(customer.encode(), at, None, (), json.dumps(body).encode())
