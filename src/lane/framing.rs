//! The bytes that a serializer of a schema registry puts before a key or a value, and the integers behind
//! them.

use super::sources::Skip;

/// The largest first byte of a message index, plus one. Every byte of JSON but white space is above it.
const CONTROL_BYTES: u8 = 0x20;

/// The content of a value, without the prefix if it has the one that `skip` names.
pub(super) fn content(value: &[u8], skip: Skip) -> &[u8] {
    match (skip, past_prefix(value)) {
        (Skip::Confluent, Some(rest)) => past_message_index(rest),
        _ => value,
    }
}

/// The bytes behind a zero byte and a schema id of 4 bytes. No JSON text begins with a zero byte.
pub(super) fn past_prefix(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [0, _, _, _, _, rest @ ..] => Some(rest),
        _ => None,
    }
}

/// Skips the message index, which only Protobuf's serializer writes: a count, and as many numbers.
fn past_message_index(bytes: &[u8]) -> &[u8] {
    let is_index = |byte: u8| byte < CONTROL_BYTES && !matches!(byte, b'\t' | b'\n' | b'\r');
    let skipped = bytes.first().filter(|byte| is_index(**byte)).and_then(|_| {
        let (count, rest) = varint(bytes)?;
        (0..count).try_fold(rest, |rest, _| varint(rest).map(|(_, rest)| rest))
    });
    skipped.unwrap_or(bytes)
}

/// Reads a zigzag varint of at most 64 bits, in its shortest form. Returns it with the bytes after it.
pub(super) fn varint(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut zigzag = 0_u64;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if at == 9 && bits > 1 {
            return None;
        }
        zigzag |= bits << (7 * at);
        if byte & 0x80 == 0 {
            let is_shortest = at == 0 || bits != 0;
            let number = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
            return is_shortest.then(|| (number, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_prefix_is_skipped_if_the_value_has_one() {
        let of = |value: &'static [u8]| content(value, Skip::Confluent);
        assert_eq!(of(b"\0\0\0\0\x07{}"), b"{}");
        assert_eq!(of(b"\0\0\0\0\x07"), b"");
        for whole in [&b"{}"[..], b"", b"\0\0\0\0", b"\x01\0\0\0\x07{}"] {
            assert_eq!(of(whole), whole);
        }
        assert_eq!(content(b"\0\0\0\0\x07{}", Skip::None), b"\0\0\0\0\x07{}");
    }

    #[test]
    fn a_message_index_behind_the_prefix_is_skipped_and_white_space_is_not() {
        for index in [&b"\0"[..], b"\x02\x02", b"\x04\x80\x01\x02"] {
            let value = [b"\0\0\0\0\x07", index, b"{}"].concat();
            assert_eq!(content(&value, Skip::Confluent), b"{}", "{index:?}");
        }
        for kept in [&b"\n{}"[..], b"\t{}", b"\x01{}", b"\x04\x80"] {
            let value = [b"\0\0\0\0\x07", kept].concat();
            let content = content(&value, Skip::Confluent);
            assert!(content.ends_with(kept) || content == b"{}", "{kept:?}");
        }
    }

    #[test]
    fn a_varint_is_read_in_its_shortest_form_only() {
        for (bytes, number) in [
            (&b"\x08"[..], 4),
            (b"\x01", -1),
            (b"\x80\x01", 64),
            (b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", i64::MAX),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", i64::MIN),
        ] {
            assert_eq!(varint(bytes), Some((number, &b""[..])), "{bytes:?}");
        }
        assert_eq!(varint(b"\x08acme"), Some((4, &b"acme"[..])));
        for bad in [&b""[..], b"\x80", b"\x80\0", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", &[0xff; 11]] {
            assert_eq!(varint(bad), None, "{bad:?}");
        }
    }
}
