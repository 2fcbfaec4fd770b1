"""Vectors of tests/vectors/envelope on stdin, one a line; how each of them ended on stdout."""

import json
import sys

from hourseal_reader import Event, Refusal, Slot, open_envelope, open_record, unwrap_dek


def unhex(text):
    return None if text is None else bytes.fromhex(text)


def hexed(data):
    return None if data is None else data.hex()


def answer(vector):
    commitment = unhex(vector["commitment"])
    if "wrapped" in vector:
        slot = Slot(vector["customer"].encode(), vector["hour"], vector["generation"])
        return unwrap_dek(unhex(vector["wrapped"]), unhex(vector["kek"]), vector["kek_id"], slot, commitment)
    keys = vector["stream"], unhex(vector["dek"]), commitment
    if "envelope" in vector:
        return open_envelope(unhex(vector["envelope"]), vector["customer"].encode(), *keys)
    headers = [(unhex(name), unhex(value)) for name, value in vector["record_headers"]]
    return open_record(unhex(vector["record_key"]), headers, unhex(vector["record_value"]), *keys)


def described(outcome):
    match outcome:
        case Refusal():
            return {"expect": outcome.value}
        case Event():
            headers = [[name.hex(), hexed(value)] for name, value in outcome.headers]
            return {"expect": "opened", "hour": outcome.hour, "generation": outcome.generation,
                    "milliseconds": outcome.milliseconds, "key": hexed(outcome.key), "headers": headers,
                    "payload": hexed(outcome.payload)}
        case dek:
            return {"expect": "unwrapped", "dek": dek.hex()}


for line in sys.stdin:
    print(json.dumps(described(answer(json.loads(line)))))
