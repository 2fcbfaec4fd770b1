//! Reads a customer's id from what its place holds. Pure.
//!
//! Promise: one customer has one id, in whichever encoding a producer writes it. Bytes that do not have the
//! declared encoding are refused. Without a declaration, bytes that look encoded are refused, too: sealed as
//! they are, they would be another customer, and an erasure of the real one would miss them.

use std::borrow::Cow;

use super::extract::{self, Found, Number};
use super::framing;
use super::quarantine::Reason;
use super::settings::Pointer;
use super::sources::{Decoding, IdForm};
use crate::model::CustomerId;

/// A valid customer id, or the reason why there is none.
pub(super) type Id<'v> = Result<Cow<'v, str>, Reason>;

/// The id that a JSON value holds; `None` = there is no value.
pub(super) fn in_json(found: Found<'_>, form: IdForm) -> Option<Id<'_>> {
    let id = match (found, form) {
        (Found::Absent, _) => return None,
        (Found::Ambiguous, _) => Err(Reason::Ambiguous),
        (Found::Text(text), _) => Ok(text),
        (Found::Number(Number::Signed(number)), IdForm::StringOrInteger) => Ok(number.to_string().into()),
        (Found::Number(Number::Unsigned(number)), IdForm::StringOrInteger) => Ok(number.to_string().into()),
        (Found::Number(_) | Found::Other, _) => Err(Reason::BadCustomer),
    };
    Some(id.and_then(checked))
}

/// The id in the bytes of a key or a header; `None` = they are JSON, and there is nothing at the pointer.
pub(super) fn in_bytes<'v>(bytes: &'v [u8], decoding: &Decoding) -> Option<Id<'v>> {
    let id = match decoding {
        Decoding::Json(pointer) => return in_json_text(bytes, pointer),
        Decoding::ConfluentJson(pointer) => match framing::past_prefix(bytes) {
            Some(json) => return in_json_text(json, pointer),
            None => None,
        },
        Decoding::Undeclared if looks_encoded(bytes) => return Some(Err(Reason::EncodedCustomer)),
        Decoding::Undeclared | Decoding::Utf8 => text(bytes),
        Decoding::Int64 => bytes.try_into().ok().map(|bytes| i64::from_be_bytes(bytes).to_string().into()),
        Decoding::ConfluentString => framing::past_prefix(bytes).and_then(avro_string),
        Decoding::ConfluentInt64 => framing::past_prefix(bytes).and_then(avro_long),
    };
    Some(id.ok_or(Reason::BadCustomer).and_then(checked))
}

/// Whether bytes are more likely an encoded id than an id: quoted, an object, an array, or with a control
/// character, which a number or a length in binary mostly has.
fn looks_encoded(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\"")
        || bytes.starts_with(b"{")
        || bytes.starts_with(b"[")
        || bytes.starts_with("\u{feff}".as_bytes())
        || bytes.iter().any(u8::is_ascii_control)
}

fn in_json_text<'v>(json: &'v [u8], pointer: &Pointer) -> Option<Id<'v>> {
    match extract::look_up(json, &[pointer.tokens()]) {
        Ok([found, ..]) => in_json(found, IdForm::StringOrInteger),
        Err(extract::NotJson) => Some(Err(Reason::BadCustomer)),
    }
}

fn text(bytes: &[u8]) -> Option<Cow<'_, str>> {
    std::str::from_utf8(bytes).ok().map(Cow::Borrowed)
}

/// An Avro string fills the bytes. JSON text in quotes would, too, if its first quote is read as its length.
fn avro_string(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let (length, string) = framing::varint(bytes)?;
    let is_json = bytes.starts_with(b"\"") && string.ends_with(b"\"");
    let fills = usize::try_from(length) == Ok(string.len());
    text(string).filter(|_| fills && !is_json)
}

fn avro_long(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let (number, rest) = framing::varint(bytes)?;
    rest.is_empty().then(|| number.to_string().into())
}

fn checked(customer: Cow<'_, str>) -> Id<'_> {
    CustomerId::check(&customer).map_err(|_| Reason::BadCustomer)?;
    Ok(customer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: Option<Result<&str, Reason>> = Some(Err(Reason::BadCustomer));
    const ENCODED: Option<Result<&str, Reason>> = Some(Err(Reason::EncodedCustomer));

    #[track_caller]
    fn check(decoding: &str, bytes: &[u8], expected: Option<Result<&str, Reason>>) {
        let place = format!("key{decoding}").parse().expect("a place");
        let super::super::CustomerFrom::Key(decoding) = place else { panic!("a key") };
        let id = in_bytes(bytes, &decoding);
        let id = id.as_ref().map(|id| id.as_deref().map_err(|reason| *reason));
        assert_eq!(id, expected, "{decoding:?} {}", bytes.escape_ascii());
    }

    #[test]
    fn an_integer_in_json_is_the_customer_of_its_decimal_digits() {
        let id = |number| in_json(Found::Number(number), IdForm::StringOrInteger);
        assert_eq!(id(Number::Unsigned(7)), Some(Ok("7".into())));
        assert_eq!(id(Number::Unsigned(u64::MAX)), Some(Ok("18446744073709551615".into())));
        assert_eq!(id(Number::Signed(-7)), Some(Ok("-7".into())));
        assert_eq!(id(Number::Float(7.0)), Some(Err(Reason::BadCustomer)));
        let text_only = in_json(Found::Number(Number::Unsigned(7)), IdForm::String);
        assert_eq!(text_only, Some(Err(Reason::BadCustomer)));
        assert_eq!(in_json(Found::Text("007".into()), IdForm::StringOrInteger), Some(Ok("007".into())));
    }

    #[test]
    fn without_a_declared_decoding_what_looks_encoded_is_refused() {
        for plain in ["acme", "7", "a\"b", "a{", "é", " acme", "a b"] {
            check("", plain.as_bytes(), Some(Ok(plain)));
        }
        for encoded in [
            &br#""acme""#[..],
            br#"{"id":7}"#,
            b"[7]",
            b"\0\0\0\0\x07\x08acme",
            b"\x08acme",
            b"acme\n",
            b"\xef\xbb\xbfacme",
            &42_u64.to_be_bytes(),
            &200_u64.to_be_bytes(),
        ] {
            check("", encoded, ENCODED);
        }
        check("", b"\xff", BAD);
        check("", b"", BAD);
    }

    #[test]
    fn declared_as_utf8_a_key_is_what_it_is() {
        for text in ["acme", r#""acme""#, r#"{"id":7}"#, "a\0b"] {
            check("@utf8", text.as_bytes(), Some(Ok(text)));
        }
        check("@utf8", b"\xff", BAD);
    }

    #[test]
    fn a_key_in_json_is_a_string_or_an_integer_or_has_one() {
        check("@json", br#""acme""#, Some(Ok("acme")));
        check("@json", br#""\u0061cme""#, Some(Ok("acme")));
        check("@json", b" 7 ", Some(Ok("7")));
        check("@json:/payload/id", br#"{"schema":{},"payload":{"id":1004}}"#, Some(Ok("1004")));
        check("@json:/id", br#"{"other":7}"#, None);
        check("@json:/id", br#"{"id":7,"id":7}"#, Some(Err(Reason::Ambiguous)));
        for bad in [&b"acme"[..], b"7.0", b"null", b"", br#"{"id":7}"#, br#""~quarantine""#] {
            check("@json", bad, BAD);
        }
    }

    #[test]
    fn a_key_behind_a_registrys_prefix_is_read_as_declared() {
        check("@confluent", b"\0\0\0\0\x07\x08acme", Some(Ok("acme")));
        check("@confluent-int64", b"\0\0\0\0\x07\xd8\x0f", Some(Ok("1004")));
        check("@confluent-json", b"\0\0\0\0\x07\"acme\"", Some(Ok("acme")));
        check("@confluent-json:/id", b"\0\0\0\0\x07{\"id\":7}", Some(Ok("7")));
        for bad in [&b"acme"[..], b"\0\0\0\0\x07", b"\0\0\0\0\x07\x08acm", b"\0\0\0\0\x07\x08acmes"] {
            check("@confluent", bad, BAD);
        }
        check("@confluent", b"\0\0\0\0\x07\"0123456789abcdef\"", BAD); // a quote is the length 17
        check("@confluent-int64", b"\0\0\0\0\x07\xd8\x0f\0", BAD);
        check("@confluent-json", br#""acme""#, BAD);
    }

    #[test]
    fn an_integer_of_eight_bytes_is_its_decimal_digits() {
        check("@int64", &42_i64.to_be_bytes(), Some(Ok("42")));
        check("@int64", &(-200_i64).to_be_bytes(), Some(Ok("-200")));
        check("@int64", b"1234", BAD);
        check("@int64", b"", BAD);
    }
}
