//! Which version of a store's schema this program uses: exactly one.
//!
//! Promise: a store of another version, or of a version that cannot be read, is never used. An older program
//! does not know what a newer column forbids, and a newer one would miss what the older did not write.
//! Not here: the steps from one version to the next (`edge::sqlite`, `edge::scylla`).

/// Why the version of a store's schema keeps this program out. Nothing was changed.
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
    /// For every `found` version that is not the `known` one.
    pub fn check(found: u32, known: u32) -> Result<(), Self> {
        match found.cmp(&known) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => Err(Self::Older { found, known }),
            std::cmp::Ordering::Greater => Err(Self::Newer { found, known }),
        }
    }

    /// What a person can do about it.
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

/// Reads a version as it stands in a store: decimal text, from 1 on, without a sign or leading zeros. `None`
/// for all else.
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
