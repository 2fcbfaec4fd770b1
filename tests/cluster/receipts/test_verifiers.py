"""Three verifiers of receipts that share no code agree on every receipt, and on why each altered one is refused."""

import json
import random
import shutil

import pytest
from nacl.signing import SigningKey
from oracle.receipt_log import Log, b64
from verifiers import VERIFIERS, Verifiers
from world import RELEASE

ORIGIN = "hourseal/0f1e2d3c4b5a69788796a5b4c3d2e1f0/jobs.receipts"
KEY = SigningKey(bytes(range(32)))
SCHEMAS = VERIFIERS.parent

pytestmark = pytest.mark.skipif(not shutil.which("go"), reason="go is not installed: the verifiers were NOT compared")


def receipt(number: int) -> bytes:
    return json.dumps({"version": 1, "command": f"c-{number}", "outcome": "erased", "pad": "x" * (number % 7)}).encode()


def log_of(size: int) -> Log:
    return Log(ORIGIN, KEY, [receipt(number) for number in range(size)])


@pytest.fixture(scope="module")
def verifiers(tmp_path_factory) -> Verifiers:
    assert RELEASE.exists(), f"{RELEASE} is missing: tests/run builds it"
    return Verifiers(RELEASE, tmp_path_factory.mktemp("verifiers"))


def flips(data: bytes) -> list[bytes]:
    """The data with each of its bits flipped."""
    return [
        data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :] for at in range(len(data)) for bit in range(8)
    ]


def test_every_verifier_accepts_each_of_1000_receipts_at_its_place(verifiers):
    log = log_of(1_000)
    checkpoint = log.checkpoint()
    verdicts = verifiers.of_bytes(log.vkey(), [log.proof(index, checkpoint) for index in range(1_000)])
    assert verdicts == [f"ok {index} of 1000" for index in range(1_000)]


def test_every_verifier_refuses_each_single_bit_that_is_altered(verifiers):
    log, sizes = log_of(1_000), [1, 2, 3, 7, 8]
    drawn = random.Random(7).sample(range(1_000), 7)
    proofs = [log.proof(index) for index in (0, 1, 499, 510, 511, 512, 998, 999, *drawn)]
    proofs += [log_of(size).proof(size - 1) for size in sizes]
    assert len(proofs) == 20
    steps = set()
    for proof in proofs:
        verdicts = verifiers.of_bytes(log.vkey(), flips(proof))
        assert {verdict.split()[0] for verdict in verdicts} == {"refused"}
        steps.update(verdicts)
    assert steps == {f"refused {step}" for step in ("form", "key", "signature", "inclusion")}


def hour_proof(log: Log, leaves: list[bytes], index: int, of: int) -> bytes:
    """An hour of the sweep whose receipt is the `of`-th of the log, by the written form."""
    sweep = Log("", KEY, leaves)
    path = "".join(f"{b64(node)}\n" for node in sweep.path(index, 0, len(leaves)))
    head = f"hourseal/swept-hour@v1\nleaf {b64(leaves[index])}\nindex {index}\n{path}\n"
    return head.encode() + log.proof(of)


def sweep_receipt(leaves: list[bytes], **changes) -> bytes:
    """The schema's own example, of this sweep."""
    examples = json.loads((SCHEMAS / "receipt.schema.json").read_text())["examples"]
    (example,) = [example for example in examples if example["type"] == "sweep"]
    root = Log("", KEY, leaves).root(0, len(leaves)).hex()
    return json.dumps({**example, "swept": {"hours": len(leaves), "root": root}, **changes}).encode()


def test_every_verifier_takes_a_sweeps_hours_and_no_altered_or_foreign_one(verifiers):
    leaves = [bytes([number]) * 24 for number in range(100)]
    values = [receipt(0), sweep_receipt(leaves), receipt(2), sweep_receipt(leaves[:1])]
    log = Log(ORIGIN, KEY, values)
    proofs = [hour_proof(log, leaves, index, 1) for index in range(100)]
    assert verifiers.of_bytes(log.vkey(), proofs) == ["ok 1 of 4"] * 100
    assert verifiers.of_bytes(log.vkey(), [hour_proof(log, leaves[:1], 0, 3)]) == ["ok 3 of 4"], "a sweep of one"

    steps = set()
    for proof in [proofs[0], proofs[64], proofs[99], hour_proof(log, leaves[:1], 0, 3)]:
        verdicts = verifiers.of_bytes(log.vkey(), flips(proof))
        assert {verdict.split()[0] for verdict in verdicts} == {"refused"}
        steps.update(verdicts)
    assert steps == {f"refused {step}" for step in ("form", "key", "signature", "inclusion", "swept")}

    others = [b"another hour".ljust(24), *leaves[1:]]
    head, _, rest = proofs[0].partition(b"\n\n")
    wrong = [hour_proof(log, others, 0, 1), hour_proof(log, leaves, 3, 0), hour_proof(log, leaves, 0, 3)]
    assert set(verifiers.of_bytes(log.vkey(), wrong)) == {"refused swept"}
    malformed = [head + b"\n" + b64(bytes(31)).encode() + b"\n\n" + rest, head + b"\n\n\n" + rest, proofs[0] + b"\n"]
    malformed += [proofs[0].replace(b"index 0\n", b"index 00\n", 1), b"\n".join(head.split(b"\n")[:1]) + b"\n\n" + rest]
    assert set(verifiers.of_bytes(log.vkey(), malformed)) == {"refused form"}


def test_the_comparison_notices_a_good_proof_and_a_verifier_that_disagrees(verifiers):
    log = log_of(5)
    assert "ok 3 of 5" in verifiers.of_bytes(log.vkey(), [log.proof(2)[:-1], log.proof(3)])
    honest = verifiers._commands["go"]
    try:
        verifiers._commands["go"] = lambda vkey, files: ["sh", "-c", "cat >&2; echo '1: refused form'; exit 65"]
        with pytest.raises(AssertionError, match="disagree on 1"):
            verifiers.of_bytes(log.vkey(), [log.proof(3)])
    finally:
        verifiers._commands["go"] = honest


def test_each_step_refuses_what_is_its_own(verifiers):
    log = log_of(5)
    good, text = log.proof(3), log.checkpoint()
    signed, foreign = text.split("\n\n")[0] + "\n", "— witness.example/w AAAAAAAA\n"
    other_key = Log(ORIGIN, SigningKey(bytes(32)), log.values)
    cases = {
        "ok 3 of 5": [good, log.proof(3, text + foreign), log.proof(3, log.note(signed + "an extension\n"))],
        "refused form": [
            b"",
            good + b"\n",
            good[:-1],
            good.replace(b"\nindex 3", b"\nindex 03"),
            good.replace(b"\nindex 3", b"\nindex +3"),
            good.replace(b"\n", b"\r\n"),
            good.replace(b"extra ", b"extra  "),
            good.replace(b64(log.values[3]).encode(), b""),
            log.proof(3, text + text.split("\n\n")[1]),
            log.proof(3, text + foreign.replace("AAAAAAAA", "AAAAAAAB=")),
            log.proof(3, text + foreign.replace("AAAAAAAA", "AAAAAB==")),
            log.proof(3, log.note(signed.replace("\n5\n", "\n05\n"))),
            log.proof(3, log.note(signed + "\nafter an empty line\n")),
        ],
        "refused key": [other_key.proof(3)],
        "refused signature": [log.proof(3, text.replace("\n5\n", "\n6\n"))],
        "refused origin": [log.proof(3, log.note(signed.replace(ORIGIN, "elsewhere")))],
        "refused inclusion": [log.proof(3).replace(b"\nindex 3", b"\nindex 2"), log_of(4).proof(3, text)],
    }
    for expected, proofs in cases.items():
        assert verifiers.of_bytes(log.vkey(), proofs) == [expected] * len(proofs)
