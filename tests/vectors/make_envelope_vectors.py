#!/usr/bin/env python3
"""Writes tests/vectors/envelope/*.json as schemas/envelope.md says. Shares no code with the Rust crate.

libsodium (through PyNaCl) computes XChaCha20-Poly1305, the standard library HMAC-SHA256, and the lines below the rest.
Deterministic: nonces and keys are hashes of names.

    python3 tests/vectors/make_envelope_vectors.py            writes the files
    python3 tests/vectors/make_envelope_vectors.py --check    exits 1 unless the files are what it would write
"""

import hashlib
import hmac
import json
import sys
from pathlib import Path
from struct import pack

from nacl.bindings import crypto_aead_chacha20poly1305_ietf_encrypt as chacha20_poly1305
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as xchacha20_poly1305

FOLDER = Path(__file__).parent / "envelope"
HOUR, GENERATION = 498_745, 2
KEY, HEADERS, NULL_PAYLOAD = 1, 2, 4


# --- the schema -----------------------------------------------------------------------------------------------------

def hkdf(ikm, info, length):
    """RFC 5869 with SHA-256 and an empty salt."""
    prk = hmac.new(b"\0" * 32, ikm, hashlib.sha256).digest()
    okm, block, counter = b"", b"", 1
    while len(okm) < length:
        block = hmac.new(prk, block + info + bytes([counter]), hashlib.sha256).digest()
        okm, counter = okm + block, counter + 1
    return okm[:length]


def sized(data):
    """u16 len ‖ bytes."""
    return pack(">H", len(data)) + data


def derive(dek, customer, hour, generation):
    """(seal key, commitment)"""
    info = b"hourseal/1 dek" + b"\x01" + sized(customer) + pack(">IH", hour, generation)
    okm = hkdf(dek, info, 64)
    return okm[:32], okm[32:]


def frame(milliseconds, key, headers, payload):
    flags = (KEY if key is not None else 0) | (HEADERS if headers else 0) | (NULL_PAYLOAD if payload is None else 0)
    out = bytes([flags]) + milliseconds.to_bytes(3, "big")
    if key is not None:
        out += pack(">I", len(key)) + key
    if headers:
        out += pack(">H", len(headers))
        for name, value in headers:
            out += sized(name) + (b"\xff" * 4 if value is None else pack(">I", len(value)) + value)
    return out + (payload or b"")


def head(key_id, nonce, hour, generation, suite=1):
    return bytes([0xE9, suite]) + pack(">HI", generation, hour) + key_id + nonce


def seal(seal_key, header, tail, plaintext):
    """header ‖ ciphertext ‖ tag"""
    return header + xchacha20_poly1305(plaintext, header + tail, header[24:48], seal_key)


def wrap(dek, kek, kek_id, customer, hour, generation, commitment, nonce):
    key = hkdf(kek, b"hourseal/1 wrap" + sized(kek_id), 32)
    aad = b"hourseal/1 wrap" + sized(customer) + pack(">IH", hour, generation) + commitment
    return b"\x01\x01" + nonce + xchacha20_poly1305(dek, aad, nonce, key)


# --- a record and its parts, each of which a vector may replace -------------------------------------------------------

def bytes_of(name, length):
    return hashlib.shake_256(b"hourseal vectors " + name.encode()).digest(length)


class Record:
    """An event of acme, sealed as it should be unless a part is given otherwise."""

    def __init__(self, name, customer="acme", stream="jobs", hour=HOUR, generation=GENERATION, milliseconds=1_234_567,
                 key=None, headers=(), payload=b'{"customer_id":"acme","job":"nightly-backup","state":"done"}'):
        self.customer = customer.encode() if isinstance(customer, str) else customer
        self.stream, self.hour, self.generation = stream, hour, generation
        self.milliseconds, self.key, self.headers, self.payload = milliseconds, key, list(headers), payload
        self.dek, self.nonce = bytes_of("dek " + name, 32), bytes_of("nonce " + name, 24)
        self.seal_key, self.commitment = derive(self.dek, self.customer, hour, generation)
        self.stored = self.commitment

    def frame(self):
        return frame(self.milliseconds, self.key, self.headers, self.payload)

    def envelope(self, plaintext=None, **other):
        """Seals the envelope. header, tail, plaintext and seal_key replace its own."""
        header = other.get("header", head(self.commitment[:16], self.nonce, self.hour, self.generation))
        tail = other.get("tail", sized(self.customer) + sized(self.stream.encode()))
        return seal(other.get("seal_key", self.seal_key), header, tail, self.frame() if plaintext is None else plaintext)


FILES = {}


def emit(name, vector):
    assert name not in FILES, name
    FILES[name] = json.dumps({"name": name, **vector}, indent=2, ensure_ascii=False) + "\n"


def hexed(data):
    return None if data is None else data.hex()


def listed(headers):
    return [[name.hex(), hexed(value)] for name, value in headers]


def inputs(record, comment, expect, envelope):
    return {"comment": comment, "expect": expect, "customer": record.customer.decode(), "stream": record.stream,
            "dek": record.dek.hex(), "commitment": record.stored.hex(), "envelope": envelope.hex()}


def content(record):
    return {"hour": record.hour, "generation": record.generation, "milliseconds": record.milliseconds,
            "key": hexed(record.key), "headers": listed(record.headers), "payload": hexed(record.payload)}


def valid(name, comment, **parts):
    record = Record(name, **parts)
    emit(name, {**inputs(record, comment, "opened", record.envelope()), **content(record)})


def faulty(name, expect, comment, make, **parts):
    """`make` takes the record and returns the envelope; it may change what the reader is given."""
    record = Record(name, **parts)
    envelope = make(record)
    emit(name, inputs(record, comment, expect, envelope))


def authentic(name, plaintext, comment):
    """A plaintext that its own key authenticates, but that is not a canonical frame."""
    faulty(name, "tampered", comment, lambda r: r.envelope(plaintext=plaintext))


def flipped(data, at):
    data = bytearray(data)
    data[at] ^= 0x01
    return bytes(data)


def consumed(name, expect, comment, key=b"acme", headers=(), event=None, change=lambda value: value, **parts):
    """A whole record as it was consumed: the reader must find out the customer. Key and headers are the record's,
    `event` holds the sealed ones; `change` alters the value."""
    name = "record_" + name
    record = Record(name, **parts, **(event or {}))
    vector = {"comment": comment, "expect": expect, "record_key": hexed(key), "record_headers": listed(headers),
              "record_value": hexed(change(record.envelope())), "stream": record.stream, "dek": record.dek.hex(),
              "commitment": record.stored.hex()}
    emit(name, vector | (content(record) if expect == "opened" else {}))


# --- valid ------------------------------------------------------------------------------------------------------------

def write_valid():
    valid("minimal", "No key, no headers, an empty payload: 68 bytes.", milliseconds=0, payload=b"")
    valid("job_event", "What most records are: a key, two headers, a JSON payload.", key=b"job-4711",
          headers=[(b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), (b"schema", b"3")])
    valid("key_empty", "A present and empty key is not an absent one.", key=b"")
    valid("key_binary", "A key is bytes, not text.", key=bytes(range(256)))
    valid("headers_repeated", "Repeated names stay, in their order.",
          headers=[(b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"a", b"1")])
    valid("header_value_null", "A null value has length 0xFFFFFFFF and no bytes.", headers=[(b"gone", None), (b"x", b"y")])
    valid("header_value_empty", "An empty value is not a null one.", headers=[(b"empty", b"")])
    valid("header_name_empty", "Kafka allows an empty name.", headers=[(b"", b"value"), (b"", None)])
    valid("header_own_prefix", "Incoming hourseal-* headers are content like any other.",
          headers=[(b"hourseal-customer", b"ajax")])
    valid("headers_300", "More headers than one byte counts.", headers=[(b"n%d" % i, b"v" * (i % 5)) for i in range(300)])
    valid("header_name_longest", "65,535 bytes, all that its length can say.", headers=[(b"n" * 65_535, b"v")])
    valid("ends_with_key", "The key ends where the frame does: the payload is empty, not null.", key=b"job-4711", payload=b"")
    valid("ends_with_header_value", "Likewise a header's value.", headers=[(b"n", b"value")], payload=b"")
    valid("ends_with_null_value", "Likewise a null one.", headers=[(b"n", None)], payload=b"")
    valid("null_value_before_payload", "What follows a null value is the next field, not the value.",
          headers=[(b"n", None)], payload=b"\xff\xff\xff\xff")
    valid("payload_like_headers", "Without bit 1 a payload may look like anything.", payload=b"\0\x01\0\x01n\0\0\0\x01v")
    valid("payload_one_block", "A frame of exactly 64 bytes.", payload=b"p" * 60)
    valid("payload_null", "A null payload: bit 2, and nothing follows.", payload=None)
    valid("payload_null_with_key_and_headers", "All three flags.", key=b"k", headers=[(b"n", b"v")], payload=None)
    valid("payload_binary", "A payload is bytes, not text.", payload=bytes(range(255, -1, -1)))
    valid("payload_5000", "Many ChaCha20 blocks, the last one not full.", payload=bytes_of("payload", 5_000))
    valid("payload_envelope", "A payload that is itself an envelope.", payload=Record("inner").envelope())
    valid("milliseconds_last", "The last millisecond of the hour.", milliseconds=3_599_999)
    valid("hour_zero", "1970-01-01T00:00Z.", hour=0, generation=0)
    valid("hour_largest", "u32 is unsigned.", hour=0xFFFF_FFFF)
    valid("generation_largest", "u16 is unsigned.", generation=0xFFFF)
    valid("customer_one_byte", "The shortest id.", customer="a")
    valid("customer_256_bytes", "The longest id: its length does not fit one byte.", customer="é" * 128)
    valid("customer_unicode", "Ids are bytes: composed é, then decomposed é, then outside the BMP.",
          customer="é e\u0301 \U0001F512")
    valid("customer_with_nul", "No character ends an id.", customer="a\0b")
    valid("customer_tilde_inside", "Only an id that begins with ~ is reserved.", customer="a~quarantine")
    valid("stream_longest", "244 bytes.", stream="s" * 244)
    valid("stream_unicode", "Streams are bytes too.", stream="j\u00f6bs")
    valid("quarantine_customer_known", "Quarantined under the customer's own slot.", stream="jobs.quarantine")
    valid("quarantine_stream_longest", "255 bytes.", stream="s" * 244 + ".quarantine")
    valid("quarantine_customer_unknown", "Quarantined under the reserved customer.", customer="~quarantine",
          stream="jobs.quarantine", key=None, headers=[(b"k", b"\xff")], payload=b"\xc3\x28 not UTF-8")


# --- faulty -----------------------------------------------------------------------------------------------------------

def write_no_envelopes():
    no = "not-an-envelope"
    faulty("empty", no, "No bytes.", lambda r: b"")
    faulty("magic_only", no, "One byte.", lambda r: b"\xe9")
    faulty("magic_other_suite_unknown", no, "Neither fits: magic comes before suite.",
           lambda r: b"\xe8\x02" + r.envelope()[2:])
    faulty("suite_only", no, "Magic and suite of this version, and nothing after them.", lambda r: b"\xe9\x01")
    faulty("header_cut", no, "47 bytes.", lambda r: r.envelope()[:47])
    faulty("header_only", no, "A header and nothing after it.", lambda r: r.envelope()[:48])
    faulty("frame_of_0_bytes", no, "Authentic, and without a frame: 64 bytes.", lambda r: r.envelope(plaintext=b""))
    faulty("frame_of_3_bytes", no, "Authentic, and one byte too short for a frame: 67 bytes.",
           lambda r: r.envelope(plaintext=b"\0\0\0"))
    faulty("magic_other", no, "0xE8.", lambda r: flipped(r.envelope(), 0))
    faulty("json_in_the_clear", no, "An event that nobody sealed.", lambda r: b'{"customer_id":"acme"}'.ljust(100))


def write_unknown_suites():
    for name, suite, comment in [("suite_zero", 0, "Never given."), ("suite_reserved", 2, "Reserved for AES-256-GCM."),
                                 ("suite_255", 255, "Unknown to this version.")]:
        faulty(name, "unknown-suite", comment,
               lambda r, suite=suite: r.envelope(header=head(r.commitment[:16], r.nonce, r.hour, r.generation, suite)))
    faulty("suite_unknown_only", "unknown-suite", "Two bytes: how long such an envelope is, is not this version's to say.",
           lambda r: b"\xe9\x02")
    faulty("suite_unknown_too_short", "unknown-suite", "Suite comes before length.", lambda r: b"\xe9\x02" + bytes(65))


def write_wrong_keys():
    wrong = "wrong-key"

    def store_has(change):
        def make(record):
            envelope = record.envelope()
            record.stored = change(record.stored)
            return envelope
        return make

    faulty("commitment_flipped", wrong, "The store's row differs in its last bit; key_id is right.",
           store_has(lambda c: flipped(c, 31)))
    faulty("commitment_flipped_after_key_id", wrong, "The store's row differs in its 17th byte; key_id is right.",
           store_has(lambda c: flipped(c, 16)))
    faulty("commitment_flipped_in_key_id", wrong, "The store's row differs within its first 16 bytes.",
           store_has(lambda c: flipped(c, 0)))
    faulty("commitment_zero", wrong, "An empty row.", store_has(lambda c: bytes(32)))

    def other_dek(record):
        envelope = record.envelope()
        record.dek = bytes_of("another dek", 32)
        return envelope
    faulty("dek_other", wrong, "The store's commitment and key_id agree; the DEK is another's.", other_dek)

    def other_customer(record):
        envelope = record.envelope()
        record.customer = b"ajax"
        return envelope
    faulty("customer_other", wrong, "Sealed for acme, given to the reader as ajax's.", other_customer)

    def decomposed(record):
        envelope = record.envelope()
        record.customer = "e\u0301".encode()
        return envelope
    faulty("customer_normalised", wrong, "Composed é is another customer than decomposed é.", decomposed, customer="é")

    def header_with(**other):
        def make(r):
            parts = {"hour": r.hour, "generation": r.generation, "key_id": r.commitment[:16], **other}
            return head(parts["key_id"], r.nonce, parts["hour"], parts["generation"]) + r.envelope()[48:]
        return make
    faulty("hour_changed", wrong, "Derived for its own hour, the key is another one.", header_with(hour=HOUR + 1))
    faulty("generation_changed", wrong, "Likewise for the generation.", header_with(generation=GENERATION + 1))
    faulty("key_id_flipped", wrong, "The last bit of key_id.", lambda r: flipped(r.envelope(), 23))
    faulty("key_id_second_half", wrong, "The commitment's last 16 bytes, and authentic with them.",
           lambda r: r.envelope(header=head(r.commitment[16:], r.nonce, r.hour, r.generation)))
    faulty("key_id_other", wrong, "An envelope that names another key, and is authentic under this one.",
           lambda r: r.envelope(header=head(bytes_of("key id", 16), r.nonce, r.hour, r.generation)))


def write_tampered():
    def tampered(name, comment, make, **parts):
        faulty(name, "tampered", comment, make, **parts)

    def tail(customer, stream):
        return sized(customer) + sized(stream)

    tampered("aad_other_customer", "Sealed with another customer in the AAD.",
             lambda r: r.envelope(tail=tail(b"ajax", b"jobs")))
    tampered("aad_other_stream", "Sealed for another stream.", lambda r: r.envelope(tail=tail(b"acme", b"tasks")))
    tampered("aad_quarantine_stream", "Sealed for the quarantine, given as the stream's.",
             lambda r: r.envelope(tail=tail(b"acme", b"jobs.quarantine")))
    tampered("aad_not_quarantine", "The stream's, given as the quarantine's.",
             lambda r: r.envelope(tail=tail(b"acme", b"jobs")), stream="jobs.quarantine")
    tampered("aad_stream_first", "Customer and stream the wrong way round.",
             lambda r: r.envelope(tail=tail(b"jobs", b"acme")))
    tampered("aad_without_lengths", "customer ‖ stream, bare.", lambda r: r.envelope(tail=b"acmejobs"))
    tampered("aad_lengths_of_4_bytes", "Lengths as wide as a key's.",
             lambda r: r.envelope(tail=pack(">I", 4) + b"acme" + pack(">I", 4) + b"jobs"))
    tampered("aad_lengths_little_endian", "Lengths the wrong way round.",
             lambda r: r.envelope(tail=b"\x04\0acme\x04\0jobs"))
    tampered("aad_border_moved", "A byte of the stream counted to the customer.",
             lambda r: r.envelope(tail=tail(b"acmej", b"obs")))
    tampered("aad_header_only", "Without customer and stream.", lambda r: r.envelope(tail=b""))

    def header_not_authenticated(r):
        header = head(r.commitment[:16], r.nonce, r.hour, r.generation)
        return header + xchacha20_poly1305(r.frame(), tail(b"acme", b"jobs"), r.nonce, r.seal_key)
    tampered("aad_without_header", "Customer and stream only.", header_not_authenticated)
    tampered("sealed_with_dek", "The DEK itself is not the seal key.", lambda r: r.envelope(seal_key=r.dek))
    tampered("sealed_with_commitment", "Nor is the commitment.", lambda r: r.envelope(seal_key=r.commitment))

    def by_the_short_nonce(r):
        header = head(r.commitment[:16], r.nonce, r.hour, r.generation)
        return header + chacha20_poly1305(r.frame(), header + tail(b"acme", b"jobs"), r.nonce[:12], r.seal_key)
    tampered("sealed_with_chacha20", "ChaCha20-Poly1305 with half of the nonce.", by_the_short_nonce)

    tampered("nonce_flipped", "One bit of the nonce.", lambda r: flipped(r.envelope(), 24))
    tampered("nonce_flipped_last", "One bit of the nonce's last byte.", lambda r: flipped(r.envelope(), 47))
    tampered("ciphertext_flipped", "One bit of the first ciphertext byte.", lambda r: flipped(r.envelope(), 48))
    tampered("ciphertext_flipped_last", "One bit of the last one.", lambda r: flipped(r.envelope(), -17))
    tampered("ciphertext_in_the_clear", "The frame itself, under the tag of its ciphertext.",
             lambda r: r.envelope()[:48] + r.frame() + r.envelope()[-16:])
    tampered("ciphertext_cut", "A byte taken out before the tag.", lambda r: r.envelope()[:-17] + r.envelope()[-16:])
    tampered("tag_flipped", "One bit of the tag.", lambda r: flipped(r.envelope(), -1))
    tampered("tag_zero", "Sixteen zero bytes.", lambda r: r.envelope()[:-16] + bytes(16))
    tampered("tag_first", "The tag before the ciphertext.",
             lambda r: r.envelope()[:48] + r.envelope()[-16:] + r.envelope()[48:-16])
    tampered("tag_truncated", "The last byte is missing.", lambda r: r.envelope()[:-1])
    tampered("byte_appended", "One byte too many.", lambda r: r.envelope() + b"\0")
    tampered("two_envelopes", "One after the other.", lambda r: r.envelope() * 2)


def write_not_canonical():
    authentic("flag_reserved", b"\x08\0\0\0", "Bit 3, reserved for zstd.")
    authentic("flag_unknown", b"\x10\0\0\0", "Bit 4.")
    authentic("flag_unknown_bit_5", b"\x20\0\0\0", "Bit 5.")
    authentic("flag_unknown_bit_6", b"\x40\0\0\0", "Bit 6.")
    authentic("flag_unknown_highest", b"\x80\0\0\0", "Bit 7.")
    authentic("flag_unknown_beside_null", b"\x0c\0\0\0", "Bit 3 beside a null payload.")
    authentic("milliseconds_too_large", b"\0" + (3_600_000).to_bytes(3, "big"), "The first of the next hour.")
    authentic("milliseconds_largest", b"\0\xff\xff\xff", "All bits of u24.")
    authentic("key_length_missing", b"\x01\0\0\0", "Flagged, and nothing there.")
    authentic("key_length_cut", b"\x01\0\0\0\0\0\0", "Three bytes of a length.")
    authentic("key_length_null", b"\x01\0\0\0\xff\xff\xff\xff", "Keys have no null: the flag says that.")
    authentic("key_length_almost_null", b"\x01\0\0\0\xff\xff\xff\xfekey", "A length of nearly 4 GiB.")
    authentic("key_length_negative", b"\x01\0\0\0\x80\0\0\0key", "2 GiB, or less than nothing where integers are signed.")
    authentic("key_length_wraps", b"\x01\0\0\0\xff\xff\xff\xfb" + b"12345678", "8 + length overflows 32 bits, to 3.")
    authentic("key_beyond_end", b"\x01\0\0\0\0\0\0\x02k", "Two bytes said, one there.")
    authentic("headers_flagged_but_empty", b"\x02\0\0\0\0\0payload", "Count 0.")
    authentic("headers_flagged_but_empty_null", b"\x06\0\0\0\0\0", "Count 0 and a null payload.")
    authentic("headers_flagged_but_missing", b"\x02\0\0\0", "Not even a count.")
    authentic("headers_count_cut", b"\x02\0\0\0\0", "One byte of a count.")
    authentic("headers_count_of_nothing", b"\x02\0\0\0\xff\xff", "65,535 said, nothing there.")
    authentic("headers_fewer_than_count", b"\x02\0\0\0\0\x02\0\x01n\0\0\0\x01v", "Two said, one there.")
    authentic("header_name_length_missing", b"\x02\0\0\0\0\x01", "One said, nothing there.")
    authentic("header_name_length_cut", b"\x02\0\0\0\0\x01\0", "One byte of a length.")
    authentic("header_name_beyond_end", b"\x02\0\0\0\0\x01\0\x05n", "Five bytes said, one there.")
    authentic("header_name_negative", b"\x02\0\0\0\0\x01\xff\xffn\0\0\0\0",
              "65,535 bytes, or less than nothing where integers are signed.")
    authentic("header_value_length_missing", b"\x02\0\0\0\0\x01\0\x01n", "A name, and nothing after it.")
    authentic("header_value_length_cut", b"\x02\0\0\0\0\x01\0\x01n\0\0", "Two bytes of a length.")
    authentic("header_value_beyond_end", b"\x02\0\0\0\0\x01\0\x01n\0\0\0\x02v", "Two bytes said, one there.")
    authentic("header_value_almost_null", b"\x02\0\0\0\0\x01\0\x01n\xff\xff\xff\xfe", "A length of nearly 4 GiB.")
    authentic("header_value_negative", b"\x02\0\0\0\0\x01\0\x01n\x80\0\0\0v", "2 GiB.")
    authentic("header_value_wraps", b"\x02\0\0\0\0\x01\0\x01n\xff\xff\xff\xf5" + b"12345678",
              "13 + length overflows 32 bits, to 2.")
    authentic("null_payload_with_bytes", b"\x04\0\0\0{}", "Bit 2, and bytes follow.")
    authentic("null_payload_with_zero", b"\x04\0\0\0\0", "Bit 2, and a byte follows that looks like nothing.")
    authentic("null_payload_after_null_value", b"\x06\0\0\0\0\x01\0\x01n\xff\xff\xff\xffv",
              "Bit 2, and bytes after a null value.")
    authentic("null_payload_after_key", b"\x05\0\0\0\0\0\0\x01key", "Bit 2, and bytes after the key.")
    authentic("null_payload_with_header_beyond", b"\x06\0\0\0\0\x01\0\x01n\0\0\0\x02v",
              "Bit 2 makes no difference to a header's length.")


# --- whole records ----------------------------------------------------------------------------------------------------

CUSTOMER = b"hourseal-customer"


def write_records():
    consumed("customer_key", "opened", "The key names the customer.")
    consumed("customer_header", "opened", "The header does, and the key is the input's.", key=b"job-4711",
             headers=[(CUSTOMER, b"acme")])
    consumed("customer_header_key_null", "opened", "The header does, and there is no key.", key=None,
             headers=[(b"schema", b"3"), (CUSTOMER, b"acme")])
    consumed("customer_header_before_key", "opened", "The header does, though the key could.", key=b"ajax",
             headers=[(CUSTOMER, b"acme")])
    consumed("customer_header_alike", "opened", "Names are bytes: these two are other headers.",
             headers=[(b"Hourseal-Customer", b"ajax"), (b"hourseal-customer-id", b"ajax"), (b"", None)])
    consumed("customer_quarantine", "opened", "The reserved id.", key=b"~quarantine", customer="~quarantine",
             stream="jobs.quarantine", headers=[(b"hourseal-reason", b"no-customer")])
    consumed("customer_longest", "opened", "256 bytes.", key="é".encode() * 128, customer="é" * 128)
    consumed("not_the_event", "opened", "Key and headers of the record are not those of the event.",
             headers=[(b"schema", b"4"), (b"added", b"later")],
             event={"key": b"job-4711", "headers": [(b"schema", b"3")]})

    def no(name, comment, **parts):
        consumed(name, "not-an-envelope", comment, **parts)

    twice = [(CUSTOMER, b"acme"), (CUSTOMER, b"ajax")]
    no("customer_twice", "Two headers, of which the first is right.", headers=twice)
    no("customer_twice_last_right", "Two headers, of which the last is right.", headers=twice[::-1])
    no("customer_twice_alike", "Two headers that say the same.", headers=twice[:1] * 2)
    no("customer_null", "A null header; the key, which is right, does not stand in for it.", headers=[(CUSTOMER, None)])
    no("customer_null_and_right", "A null header and one that is right.", headers=[(CUSTOMER, None), (CUSTOMER, b"acme")])
    no("customer_empty", "An empty header; the key does not stand in for it.", headers=[(CUSTOMER, b"")])

    def sealed_for(name, comment, customer):
        """Sealed for what is no id: only the check of the customer refuses it."""
        no("customer_" + name, comment, key=None, headers=[(CUSTOMER, customer)], customer=customer)
        no("key_" + name, comment, key=customer, customer=customer)
    sealed_for("too_long", "257 bytes.", b"c" * 257)
    sealed_for("too_long_in_bytes", "129 characters, 258 bytes.", "é".encode() * 129)
    sealed_for("tilde", "Reserved.", b"~acme")
    sealed_for("tilde_alone", "Reserved.", b"~")
    sealed_for("not_utf8", "A byte that UTF-8 never has.", b"acme\xff")
    sealed_for("not_utf8_overlong", "A slash in two bytes.", b"a\xc0\xaf")
    sealed_for("not_utf8_surrogate", "Half of a pair, as in CESU-8.", b"\xed\xa0\x80")
    sealed_for("not_utf8_beyond", "U+110000.", b"\xf4\x90\x80\x80")
    sealed_for("not_utf8_cut", "The first of two bytes.", b"acme\xc3")
    no("key_empty", "An empty key names nobody.", key=b"", customer="")
    no("key_null", "No header and no key.", key=None)
    no("key_null_suite_unknown", "Neither customer nor suite: the customer comes first.", key=None,
       change=lambda value: b"\xe9\x02" + value[2:])
    no("value_null", "A record without a value.", change=lambda value: None)
    no("value_empty", "A record with an empty one.", change=lambda value: b"")
    consumed("suite_unknown", "unknown-suite", "The customer is known, the suite is not.",
             change=lambda value: b"\xe9\x02" + value[2:])
    consumed("customer_other", "wrong-key", "Passed off as another customer's by the header.", headers=[(CUSTOMER, b"ajax")])
    consumed("tag_flipped", "tampered", "One bit of the tag.", change=lambda value: flipped(value, -1))


# --- wrapped DEKs -----------------------------------------------------------------------------------------------------

def wrapped(name, expect, comment, change=None, given=None, customer="acme", hour=HOUR, generation=GENERATION):
    """`change` alters the wrapped bytes; `given` what the reader is given beside them."""
    name = "wrapped_" + name
    kek, kek_id, dek = bytes_of("kek " + name, 32), "day/2026-11-24", bytes_of("dek " + name, 32)
    _, commitment = derive(dek, customer.encode(), hour, generation)
    if expect == "wrong-key":
        commitment = bytes_of("another commitment", 32)
    blob = wrap(dek, kek, kek_id.encode(), customer.encode(), hour, generation, commitment, bytes_of("nonce " + name, 24))
    vector = {"comment": comment, "expect": expect, "kek": kek.hex(), "kek_id": kek_id, "customer": customer, "hour": hour,
              "generation": generation, "commitment": commitment.hex(), "wrapped": (change(blob) if change else blob).hex()}
    vector |= given or {}
    emit(name, vector | ({"dek": dek.hex()} if expect == "unwrapped" else {}))


def write_wrapped():
    wrapped("dek", "unwrapped", "As the key store keeps it.")
    wrapped("dek_hour_zero", "unwrapped", "The smallest hour and generation.", hour=0, generation=0)
    wrapped("dek_largest", "unwrapped", "The largest hour, generation and customer.", customer="c" * 256, hour=0xFFFF_FFFF,
            generation=0xFFFF)
    wrapped("dek_of_quarantine", "unwrapped", "The reserved customer has slots too.", customer="~quarantine")
    wrapped("dek_unicode", "unwrapped", "A customer of many bytes.", customer="é e\u0301 \U0001F512")
    wrapped("commitment_not_of_dek", "wrong-key", "Authentic, and the DEK does not derive the commitment.")
    wrapped("version_unknown", "unknown-version", "Version 2.", lambda b: b"\x02" + b[1:])
    wrapped("version_zero", "unknown-version", "Never given.", lambda b: b"\0" + b[1:])
    wrapped("suite_unknown", "unknown-suite", "Suite 2.", lambda b: b"\x01\x02" + b[2:])
    wrapped("suite_zero", "unknown-suite", "Never given.", lambda b: b"\x01\0" + b[2:])
    wrapped("version_and_suite_unknown", "unknown-version", "Version comes before suite.", lambda b: b"\x02\x02" + b[2:])
    wrapped("empty", "unknown-version", "No byte at all.", lambda b: b"")
    wrapped("version_alone", "unknown-suite", "The suite is missing.", lambda b: b[:1])
    wrapped("suite_last", "unauthentic", "Nothing after the suite.", lambda b: b[:2])
    wrapped("truncated", "unauthentic", "73 bytes.", lambda b: b[:-1])
    wrapped("trailing_byte", "unauthentic", "75 bytes.", lambda b: b + b"\0")
    wrapped("suite_unknown_and_long", "unknown-suite", "Suite comes before length.", lambda b: b"\x01\x02" + b[2:] + b"\0")
    wrapped("nonce_flipped", "unauthentic", "One bit.", lambda b: flipped(b, 2))
    wrapped("ciphertext_flipped", "unauthentic", "One bit.", lambda b: flipped(b, 26))
    wrapped("tag_flipped", "unauthentic", "One bit.", lambda b: flipped(b, 73))
    for field, other in [("kek", bytes_of("another kek", 32).hex()), ("kek_id", "day/2026-11-25"), ("customer", "ajax"),
                         ("hour", HOUR + 1), ("generation", GENERATION + 1), ("commitment", bytes(32).hex())]:
        wrapped(f"other_{field}", "unauthentic", "Wrapped for another one.", given={field: other})


def main():
    for write in (write_valid, write_no_envelopes, write_unknown_suites, write_wrong_keys, write_tampered,
                  write_not_canonical, write_records, write_wrapped):
        write()
    if "--check" in sys.argv[1:]:
        there = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
        differing = sorted(name for name in there.keys() | FILES.keys() if there.get(name) != FILES.get(name))
        print(f"{len(FILES)} vectors, {len(differing)} differ{': ' if differing else ''}{', '.join(differing)}")
        sys.exit(1 if differing else 0)
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.json"):
        path.unlink()
    for name, text in FILES.items():
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
    print(f"{len(FILES)} vectors")


if __name__ == "__main__":
    main()
