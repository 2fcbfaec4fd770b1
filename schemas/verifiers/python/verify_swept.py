#!/usr/bin/env python3
"""Verifies proofs of an hour that went in a sweep, and of receipts as verify_receipt.py does (schemas/receipt-log.md).

    verify_swept.py VKEY FILE...        as verify_receipt.py VKEY FILE...
"""

import json
import sys

import verify_receipt
from verify_receipt import MOST_BYTES, MOST_PATH, decoded, need, number, root_of, sha256

FIRST_LINE = "hourseal/swept-hour@v1"


def verify(proof: bytes, key):
    """(receipt, index, size), or Refused. The sixth step, `swept`: the hour leads to the root in the receipt."""
    if not proof.startswith(FIRST_LINE.encode() + b"\n") or len(proof) > MOST_BYTES:
        return verify_receipt.verify(proof, key)
    head, _, rest = proof.partition(b"\n\n")
    lines = head.decode("ascii", "replace").split("\n")
    need(len(lines) >= 3 and lines[1].startswith("leaf ") and lines[2].startswith("index "))
    leaf, index = decoded(lines[1][5:]), number(lines[2][6:])
    need(leaf and len(lines) <= 3 + MOST_PATH)
    path = [decoded(line, 32) for line in lines[3:]]
    receipt, at, size = verify_receipt.verify(rest, key)
    try:
        swept = json.loads(receipt)["swept"]
        root = root_of(sha256(b"\x00", leaf), index, path, swept["hours"])
    except (ValueError, KeyError, TypeError, verify_receipt.Refused):
        raise verify_receipt.Refused("swept") from None
    need(root.hex() == swept["root"], "swept")
    return receipt, at, size


if __name__ == "__main__":
    sys.exit(verify_receipt.main(*sys.argv[1:], verify=verify) if len(sys.argv) > 2 else __doc__)
