"""Who may have what forgotten: signed commands, holds, and what nobody who is trusted has signed."""

import json

import pytest
from children import wait_until
from confluent_kafka import Producer
from envelopes import HOUR, command, enveloped
from erasures import events, outcomes
from nacl.signing import SigningKey
from office import EVERYTHING, Office, ask, holds
from world import World


@pytest.fixture
def world(kafka, store, make_world, tmp_path) -> World:
    world = make_world(kafka, store=store)
    world.office = Office(tmp_path / "office", world.binary)
    world.feed_some(events(b"acme", HOUR), 20)
    return world


def start(world: World):
    worker = world.worker(settings=world.office.settings)
    world.await_drained()
    return worker


def complaints(world: World) -> str:
    """What commands have said on stderr."""
    return (world.folder / "cli.log").read_text()


def erase(world: World, *arguments: str, **how):
    return ask(world, "erase", "request", "--customer", "acme", "--from", str(HOUR), *arguments, **how)


def test_early_erasure_takes_two_people_who_sign_one_after_the_other(world):
    worker = start(world)
    office = world.office
    dpo, legal = office.key("dpo"), office.key("legal")
    early = erase(world, "--reason", "retention-end", "--sign-with", dpo, "--sign-with", legal, code=65)
    assert (early["outcome"], early["why"]) == ("refused", "not-due"), "whoever signs it"
    assert "error: refused: not-due, the last hour is due at 20" in complaints(world)

    file = str(office.folder / "erase.json")
    asked = ("--reason", "request", "--issuer", "ticket-9", "--sign-with", dpo)
    world.cli("erase", "request", "--customer", "acme", "--from", str(HOUR), *asked, "--save", file)
    alone = ask(world, "command", "send", file, code=65)
    assert (alone["why"], alone["signers"]) == ("not-authorized", ["dpo"])
    assert "not-authorized, signed by dpo\nhint:  it takes the right `erase-early`, from two" in complaints(world)
    assert outcomes(world, "acme", HOUR) == {"opened"}

    shown = office.run("command", "sign", file, "--sign-with", legal)
    assert '"customer":"acme"' in shown, "whoever signs sees what it is"
    both = ask(world, "command", "send", file)
    assert (both["outcome"], both["signers"], both["issuer"]) == ("erased", ["dpo", "legal"], "ticket-9")
    assert both["id"] == alone["id"], "one command, whoever has signed it"
    assert outcomes(world, "acme", HOUR) == {"erased"}
    assert "acme" not in json.dumps(world.receipt_bodies())
    worker.stop()


def test_a_customer_forgotten_on_the_word_of_two_gets_no_key_any_more(world):
    further = events(b"acme", HOUR + 1)
    world.feed_some(further, 20)
    world.feed_some(events(b"other", HOUR), 20)
    worker = start(world)
    office = world.office
    customer = ("erase", "customer", "--customer", "acme")
    dpo, both = ("--sign-with", office.key("dpo")), ("--sign-with", office.key("dpo"), "--sign-with", office.key("legal"))
    assert ask(world, *customer, *dpo, code=65)["why"] == "not-authorized"
    hold = ("--customer", "acme", "--hold", "case-17")
    ask(world, "hold", "place", *hold, "--from", str(HOUR + 90), "--to", str(HOUR + 99), *dpo)
    assert ask(world, *customer, *both, code=65)["why"] == "held", "whatever hours it is about"
    ask(world, "hold", "release", *hold, *both)
    assert outcomes(world, "acme", HOUR) == {"opened"}

    receipt = ask(world, *customer, *both)
    assert (receipt["type"], receipt["outcome"], receipt["signers"]) == ("erase-customer", "erased", ["dpo", "legal"])
    assert receipt["from_hour"] < HOUR and receipt["to_hour"] > HOUR + 1 and receipt["key_count"] >= 2
    assert outcomes(world, "acme", HOUR) == outcomes(world, "acme", HOUR + 1) == {"erased"}
    closed = [row for row in world.cli_json("retention", "show", "--json") if row["closed"]]
    assert [row["token"] for row in closed] == [receipt["token"]], "who looks for it, finds it"
    assert outcomes(world, "other", HOUR) == {"opened"}

    sealed = world.sealed_count()
    world.feed_some(further, 5)
    world.await_drained()
    assert world.sealed_count() == sealed, "no key is made for it"
    listed = world.cli_json("quarantine", "ls", "--json")
    assert [line["reason"] for line in listed] == ["erased"] * 5
    assert all(key["state"] == "erased" for key in world.cli_json("keys", "ls", "--customer", "acme", "--json"))
    worker.stop()
    worker = world.worker(settings=office.settings)
    assert outcomes(world, "acme", HOUR) == {"erased"}
    worker.stop()


def test_a_hold_is_in_the_way_until_two_people_lift_it(world):
    worker = start(world)
    office = world.office
    hold = ("--customer", "acme", "--hold", "case-17")
    hours = ("--from", str(HOUR - 5), "--to", str(HOUR + 5))
    placed = ask(world, "hold", "place", *hold, *hours, "--sign-with", office.key("legal"))
    assert (placed["outcome"], placed["hold"]) == ("hold-placed", "case-17")
    (listed,) = world.cli_json("hold", "ls", "--json")
    assert (listed["hold"], listed["customer"], listed["from_hour"]) == ("case-17", "acme", HOUR - 5)

    both = ("--sign-with", office.key("dpo"), "--sign-with", office.key("legal"))
    held = erase(world, "--reason", "request", *both, code=65)
    assert held["why"] == "held"
    alone = ask(world, "hold", "release", *hold, "--sign-with", office.key("legal"), code=65)
    assert alone["why"] == "not-authorized"
    assert ask(world, "hold", "release", *hold, *both)["outcome"] == "hold-released"
    assert world.cli_json("hold", "ls", "--json") == []
    assert erase(world, "--reason", "request", *both)["outcome"] == "erased"
    worker.stop()


def test_no_forgery_has_an_effect_and_what_is_verified_gets_one_refusal(world):
    worker = start(world)
    office = world.office
    dpo, job, stranger = office.seed("dpo"), office.seed("job"), SigningKey.generate()
    early, due = command(world, "f-1"), {"reason": "retention-end"}
    signed = enveloped(early, dpo, office.seed("legal"))
    at = signed.index(b'"sig": "') + 20
    # Still base64, whatever stood there: another signature, and no envelope that cannot be read.
    flipped = signed[:at] + (b"B" if signed[at : at + 1] == b"A" else b"A") + signed[at + 1 :]
    counted = [
        early,  # not signed
        enveloped(early),
        enveloped(early, stranger),
        enveloped(early, stranger, stranger),
        enveloped(early, dpo, kind="application/json"),
        enveloped(early, dpo)[:-9],  # cut off
        enveloped(command(world, "f-2", **due, force=True), dpo),
        enveloped(command(world, "f-3", type="forget"), dpo),
        enveloped(command(world, "~f-4", **due), dpo),
        b'{"id":' + b"[" * 50_000,
        b"x" * ((1 << 20) - 4096),
        b"",
    ]
    refused = {
        "one key": enveloped(early, dpo),
        "one key twice": enveloped(early, dpo, dpo),
        "a bad second one": flipped,
        "without the right": enveloped(early, dpo, job),
        "a hold without the right": enveloped(command(world, "f-5", type="hold", hold="h", reason=None), job),
        "elsewhere": enveloped(command(world, "f-6", deployment="ee" * 16), dpo, office.seed("legal")),
        "over": enveloped(command(world, "f-7", expires="2026-01-01T00:00:00Z"), dpo, office.seed("legal")),
        "to come": enveloped(command(world, "f-8", not_before="2096-01-01T00:00:00Z"), dpo, office.seed("legal")),
        "not due": enveloped(command(world, "f-9", **due), dpo, office.seed("legal")),
    }
    producer = Producer({"bootstrap.servers": world.kafka.bootstrap, "message.max.bytes": 2 << 20, "log_level": 0})
    for record in counted:
        producer.produce(world.control, record)
    for _ in range(100):
        for record in refused.values():
            producer.produce(world.control, record)
    assert producer.flush(30) == 0

    last = erase(world, "--reason", "retention-end", "--sign-with", office.key("job"), "--id", "last", code=65)
    assert last["why"] == "not-due", "everything before it is decided"
    receipts = [receipt for receipt in world.receipt_bodies() if receipt["command"] != "last"]
    assert [receipt["outcome"] for receipt in receipts] == ["refused"] * len(refused)
    assert [receipt["why"] for receipt in receipts] == ["not-authorized"] * 5 + ["other-deployment", "expired", "not-yet", "not-due"]
    assert outcomes(world, "acme", HOUR) == {"opened"}
    figures = worker.figures()
    left_alone = [figures.sum("control_messages_total", kind="unknown", outcome=what) for what in ("unverified", "unreadable")]
    assert sum(left_alone) == len(counted), left_alone
    lines = (world.folder / "w0.log").read_text()
    assert "mallory-9" not in lines and lines.count("HS1404") + lines.count("HS1408") < 10

    both = ("--sign-with", office.key("dpo"), "--sign-with", office.key("legal"))
    done = erase(world, "--reason", "request", "--id", "f-1", *both)
    assert done["outcome"] == "erased", "no forgery has taken its id"
    worker.stop()


def test_commands_wait_for_a_trust_store_and_a_revoked_key_counts_no_more(world):
    office, worker = world.office, start(world)
    hold = ["hold", "place", "--customer", "acme", "--from", str(HOUR), "--to", str(HOUR), "--sign-with", office.key("legal")]
    assert ask(world, *hold, "--hold", "before")["outcome"] == "hold-placed"

    def send(name: str):
        """From a machine that has no trust store of its own."""
        world.cli(*hold, "--hold", name, "--no-wait", settings={"control": {"require_signatures": True}})

    trusted = office.trust.read_text()
    office.trust.write_text(trusted[:-20])
    send("meanwhile")
    wait_until(lambda: "cannot be used" in (worker.why_not_ready() or ""), 30, "it says why commands wait")
    office.trust.write_text(trusted)
    wait_until(lambda: holds(world) == {"before", "meanwhile"}, 30, "what waited is done")

    store = json.loads(trusted)
    for key in store["keys"]:
        key["revoked"] = key["name"] == "legal"
    store["keys"].append(office.entry("successor", EVERYTHING))
    office.trust.write_text(json.dumps(store))
    send("after")
    figures = {"kind": "unknown", "outcome": "unverified"}
    wait_until(lambda: worker.figures().sum("control_messages_total", **figures) == 1, 30, "nobody stands behind it")
    assert holds(world) == {"before", "meanwhile"}
    worker.stop()


def test_a_worker_says_whose_commands_it_takes(kafka, make_world, tmp_path):
    open_world = make_world(kafka)
    worker = open_world.worker()
    assert "unsigned commands are accepted" in worker.get("/readyz")[1]
    worker.stop()
    office = Office(tmp_path / "office", open_world.binary)
    office.trust.write_text(office.trust.read_text().replace('"dpo"', '"legal"'))
    said = open_world.cli("run", code=78, errors=True, settings=office.settings)
    assert "twice, with the same name or the same public key" in said
