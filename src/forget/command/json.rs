//! What a JSON text must be before its fields are read.

/// An object's bytes; serde would read an array of the right values as a struct too.
pub(super) fn is_object(bytes: &[u8]) -> bool {
    bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}
