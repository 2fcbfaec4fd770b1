//! A check of a JSON text before its fields are read.

/// Whether the bytes begin an object. serde would also read an array of the right values as a struct.
pub(super) fn is_object(bytes: &[u8]) -> bool {
    bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}
