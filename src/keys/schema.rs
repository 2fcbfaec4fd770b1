//! The schema version of a store. This program uses exactly one version.
//!
//! Promise: a store of another version, or with a version that cannot be read, is never used. An older
//! program does not know what a newer column forbids. A newer program would miss data that an older one did
//! not write.
//! Not here: the steps from one version to the next (`edge::sqlite`, `edge::scylla`).

/// The schema version prevents this program from using the store. Nothing was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SchemaMismatch {
    /// An older program left it.
    #[error("its schema is version {found}, this program needs version {known}")]
    Older { found: u32, known: u32 },
    /// A newer program upgraded it.
    #[error("its schema is version {found}, this program knows version {known}")]
    Newer { found: u32, known: u32 },
}

impl SchemaMismatch {
    /// # Errors
    /// The `found` version is not the `known` one.
    pub fn check(found: u32, known: u32) -> Result<(), Self> {
        match found.cmp(&known) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => Err(Self::Older { found, known }),
            std::cmp::Ordering::Greater => Err(Self::Newer { found, known }),
        }
    }

    /// The action that a person can take.
    pub fn remedy(&self) -> String {
        match self {
            Self::Older { found, known } => {
                format!("`hourseal store init` upgrades it from version {found} to {known}")
            }
            Self::Newer { found, .. } => {
                format!("use a hourseal that knows version {found}; a schema is never downgraded")
            }
        }
    }
}

/// Parses a version as a store keeps it: decimal text, at least 1, without a sign or leading zeros. `None`
/// for any other text.
pub fn parse_schema_version(bytes: &[u8]) -> Option<u32> {
    let version: u32 = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    (version > 0 && version.to_string().as_bytes() == bytes).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_version_is_used_and_every_other_is_refused_with_both_numbers() {
        assert_eq!(SchemaMismatch::check(3, 3), Ok(()));
        for (found, known) in [(1, 3), (2, 3), (4, 3), (u32::MAX, 3)] {
            let mismatch = SchemaMismatch::check(found, known).expect_err("another version");
            let text = format!("{mismatch}: {}", mismatch.remedy());
            assert!(text.contains(&found.to_string()) && text.contains(&known.to_string()), "{text}");
            assert_eq!(text.contains("store init"), found < known, "{text}");
        }
    }

    #[test]
    fn a_version_has_one_spelling() {
        assert_eq!(parse_schema_version(b"1"), Some(1));
        assert_eq!(parse_schema_version(b"4294967295"), Some(u32::MAX));
        for garbage in ["", "0", "01", "+1", "-1", " 1", "1\n", "1.0", "one", "4294967296", "\u{661}"] {
            assert_eq!(parse_schema_version(garbage.as_bytes()), None, "{garbage:?}");
        }
        assert_eq!(parse_schema_version(&[0xff]), None);
    }
}
