"""Input that a careless worker trips over: what must be quarantined and why, and what must flow."""

import json
from typing import NamedTuple

from oracle.events import HOUR_MS, Event, Headers, rfc3339

MAX_BYTES = 512 * 1024
DAY_MS = 24 * HOUR_MS


class Bad(NamedTuple):
    name: str
    reason: str
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    customer: bytes | None = None  # whose it is, where that is known
    keeps_content: bool = True


class Kinds:
    """All kinds, with times as of a moment: a test begins long after it was collected."""

    def __init__(self, now: int):
        self.now = now
        self.second = now // 1000 * 1000 - 60_000  # a minute ago, on the second

    def body(self, customer: str = '"acme"', time: str | None = None, more: str = "") -> bytes:
        stamp = json.dumps(rfc3339(self.second)) if time is None else time
        return f'{{"customer_id":{customer},"occurred_at":{stamp}{more}}}'.encode()

    def bad_customer(self, name: str, reason: str, customer: str) -> Bad:
        return Bad(name, reason, self.body(customer))

    def bad_time(self, name: str, reason: str, time: str, **more) -> Bad:
        return Bad(name, reason, self.body(time=time), customer=b"acme", **more)

    def sized(self, size: int) -> bytes:
        return self.body(more=',"log":"' + "x" * (size - len(self.body(more=',"log":""'))) + '"')

    def just_now(self, form: str) -> str:
        """A minute ago, in another form of RFC 3339."""
        return json.dumps(form.format(date=rfc3339(self.second)[:10], time=rfc3339(self.second)[11:19]))

    def event(self, payload: bytes, *, customer: bytes = b"acme", at: int | None = None, key=None, headers: Headers = ()) -> Event:
        return Event(customer, self.second if at is None else at, key, headers, payload)

    def bad(self) -> list[Bad]:
        body, sized, just_now = self.body, self.sized, self.just_now
        bad_customer, bad_time = self.bad_customer, self.bad_time
        return [
            Bad("null_value", "no-value", None),
            Bad("null_value_with_key_and_headers", "no-value", None, b"key", ((b"a", None),)),
            Bad("empty_value", "not-json", b""),
            Bad("white_space", "not-json", b" \n\t "),
            Bad("truncated_json", "not-json", body()[:-1]),
            Bad("invalid_utf8", "not-json", body(more=',"log":"\0"').replace(b"\0", b"\xff\xfe")),
            Bad("utf16", "not-json", body().decode().encode("utf-16")),
            Bad("two_byte_order_marks", "not-json", 2 * b"\xef\xbb\xbf" + body()),
            Bad("trailing_garbage", "not-json", body() + b"x"),
            Bad("two_events_in_one", "not-json", body() + b"\n" + body()),
            Bad("not_a_number", "not-json", body(more=',"n":NaN')),
            Bad("trailing_comma", "not-json", body(more=",")),
            Bad("single_quotes", "not-json", body().replace(b'"', b"'")),
            Bad("control_character_in_a_string", "not-json", body(more=',"log":"\n"')),
            Bad("avro_like_bytes", "not-json", b"\x00\x00\x00\x00\x01" + bytes(range(256))),
            Bad("deep_nesting_never_closed", "not-json", b'{"a":' * 20_000),
            Bad("array", "no-customer", b"[" + body() + b"]"),
            Bad("string", "no-customer", b'"acme"'),
            Bad("number", "no-customer", b"42"),
            Bad("huge_integer", "no-customer", b"9" * 300),
            Bad("json_null", "no-customer", b"null"),
            Bad("json_true", "no-customer", b"true"),
            Bad("empty_object", "no-customer", b"{}"),
            Bad("customer_in_another_case", "no-customer", body().replace(b"customer_id", b"Customer_Id")),
            bad_customer("customer_null", "bad-customer", "null"),
            bad_customer("customer_fraction", "bad-customer", "7.0"),
            bad_customer("customer_exponent", "bad-customer", "7e0"),
            bad_customer("customer_beyond_64_bits", "bad-customer", "18446744073709551616"),
            bad_customer("customer_object", "bad-customer", '{"id":"acme"}'),
            bad_customer("customer_deep", "bad-customer", "[" * 5_000 + "]" * 5_000),
            bad_customer("customer_empty", "bad-customer", '""'),
            bad_customer("customer_of_257_bytes", "bad-customer", json.dumps("x" * 257)),
            bad_customer("customer_of_129_two_byte_letters", "bad-customer", json.dumps("ß" * 129)),
            bad_customer("customer_reserved", "bad-customer", '"~quarantine"'),
            bad_customer("customer_tilde", "bad-customer", '"~"'),
            bad_customer("customer_half_a_surrogate", "not-json", '"\\ud800"'),
            bad_customer("customer_repeated", "ambiguous", '"acme","customer_id":"other"'),
            bad_customer("customer_repeated_in_disguise", "ambiguous", '"acme","customer\\u005fid":"other"'),
            bad_time("time_repeated", "ambiguous", f'"{rfc3339(self.second)}","occurred_at":"{rfc3339(self.second)}"'),
            Bad("no_time", "no-time", b'{"customer_id":"acme"}', customer=b"acme"),
            bad_time("time_null", "bad-time", "null"),
            bad_time("time_number", "bad-time", str(self.now)),
            bad_time("time_text", "bad-time", '"yesterday"'),
            bad_time("time_empty", "bad-time", '""'),
            bad_time("time_without_zone", "bad-time", just_now("{date}T{time}")),
            bad_time("time_with_a_space", "bad-time", just_now("{date} {time}Z")),
            bad_time("time_is_a_date", "bad-time", just_now("{date}")),
            bad_time("time_february_30", "bad-time", '"2026-02-30T00:00:00Z"'),
            bad_time("time_hour_25", "bad-time", just_now("{date}T25:00:00Z")),
            bad_time("time_offset_out_of_range", "bad-time", just_now("{date}T{time}+99:00")),
            bad_time("time_of_six_digit_year", "bad-time", '"+292277-01-09T04:00:54Z"'),
            bad_time("time_of_negative_year", "bad-time", '"-0001-01-01T00:00:00Z"'),
            bad_time("in_ten_minutes", "future", json.dumps(rfc3339(self.now + 600_000))),
            bad_time("in_290_years", "future", '"2316-11-24T00:00:00Z"'),
            bad_time("in_the_year_9998", "future", '"9998-12-31T23:59:59Z"'),
            bad_time("before_290_years", "implausible", '"1736-11-24T00:00:00Z"'),
            bad_time("in_1999", "implausible", '"1999-12-31T23:59:59.999Z"'),
            bad_time("in_a_leap_second_of_2016", "implausible", '"2016-12-31T23:59:60Z"'),
            bad_time("in_the_year_0", "implausible", '"0000-01-01T00:00:00Z"'),
            bad_time("before_41_days", "expired", json.dumps(rfc3339(self.now - 41 * DAY_MS)), keeps_content=False),
            Bad("one_byte_too_large", "too-large", sized(MAX_BYTES + 1), customer=b"acme"),
            Bad("too_large_by_its_key", "too-large", body(), bytes(MAX_BYTES), customer=b"acme"),
            Bad("too_large_by_a_header", "too-large", body(), None, ((b"h", bytes(MAX_BYTES)),), b"acme"),
            Bad("too_many_headers", "too-many-headers", body(), None, ((b"h", None),) * 65_536, b"acme", False),
            Bad("too_long_a_header_name", "too-many-headers", body(), None, ((b"h" * 65_536, None),), b"acme", False),
            Bad("too_large_even_for_the_quarantine", "too-large", sized(3_000_000), customer=b"acme", keeps_content=False),
        ]

    def good(self) -> dict[str, Event]:
        body, sized, just_now, event = self.body, self.sized, self.just_now, self.event
        return {
            "plain": event(body()),
            "empty_key": event(body(), key=b""),
            "binary_key": event(body(), key=bytes(range(256))),
            "envelope_as_key": event(body(), key=b"\xe9\x01" + bytes(66)),
            "one_thousand_headers": event(body(), headers=tuple((b"h", b"%d" % n) for n in range(1_000))),
            "header_without_a_name": event(body(), headers=((b"", b"x"),)),
            "header_null_and_empty": event(body(), headers=((b"a", None), (b"a", b""))),
            "headers_of_our_own": event(body(), headers=((b"hourseal-reason", b"x"), (b"hourseal-origin", b"y/0/0"))),
            "largest": event(sized(MAX_BYTES)),
            "customer_of_256_bytes": event(body(json.dumps("x" * 256)), customer=b"x" * 256),
            "customer_of_one_space": event(body('" "'), customer=b" "),
            "customer_with_a_nul": event(body('"a\\u0000b"'), customer=b"a\0b"),
            "customer_escaped": event(body('"\\u0061cme"')),
            "customer_surrogate_pair": event(body('"\\ud83d\\ude00"'), customer="😀".encode()),
            "customer_tilde_inside": event(body('"a~b"'), customer=b"a~b"),
            "customer_number": event(body("7"), customer=b"7"),
            "customer_negative": event(body("-7"), customer=b"-7"),
            "customer_of_64_bits": event(body("18446744073709551615"), customer=b"18446744073709551615"),
            "byte_order_mark": event(b"\xef\xbb\xbf" + body()),
            "half_a_surrogate_as_a_key": event(body(more=',"\\ud800":1')),
            "half_a_surrogate_as_a_value": event(body(more=',"a":"\\udc00"')),
            "other_keys_repeated": event(body(more=',"a":1,"a":2')),
            "customer_nested_elsewhere": event(body(more=',"a":{"customer_id":"other","occurred_at":"no"}')),
            "huge_numbers": event(body(more=',"a":1e999999,"b":-' + "9" * 5_000)),
            "deep_nesting": event(body(more=',"a":' + "[" * 20_000 + "]" * 20_000)),
            "white_space_around": event(b" \r\n\t" + body() + b"\n"),
            "time_with_offset": event(body(time=json.dumps(rfc3339(self.second + 5 * HOUR_MS + 1_800_000)[:19] + "+05:30"))),
            "time_in_lower_case": event(body(time=just_now("{date}t{time}z"))),
            "time_with_nanoseconds": event(body(time=just_now("{date}T{time}.123456789Z")), at=self.second + 123),
            "time_in_three_minutes": event(body(time=json.dumps(rfc3339(self.second + 240_000))), at=self.second + 240_000),
            "time_before_39_days": event(body(time=json.dumps(rfc3339(self.second - 39 * DAY_MS))), at=self.second - 39 * DAY_MS),
        }
