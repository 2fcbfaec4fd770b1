//! Results of the checks of a key store, each with a grade.

use crate::keys::SchemaMismatch;

/// The grade of a finding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Grade {
    Ok,
    /// It works, but an operator should know.
    Note,
    /// It breaks a requirement.
    Wrong,
}

/// The result of one check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    pub what: &'static str,
    pub grade: Grade,
    pub text: String,
}

impl Finding {
    pub(super) fn new(what: &'static str, grade: Grade, text: impl Into<String>) -> Self {
        Self { what, grade, text: text.into() }
    }

    /// Compares the schema version found with the one that this program knows.
    pub(super) fn schema_version(found: u32, known: u32) -> Self {
        let (grade, text) = match SchemaMismatch::check(found, known) {
            Ok(()) => (Grade::Ok, format!("{found}, as this program knows it")),
            Err(mismatch) => (Grade::Wrong, format!("{mismatch}: {}", mismatch.remedy())),
        };
        Self::new("schema version", grade, text)
    }
}

/// The worst grade of all findings.
pub fn grade_of(findings: &[Finding]) -> Grade {
    findings.iter().map(|finding| finding.grade).max().unwrap_or(Grade::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_is_the_grade_of_all() {
        assert_eq!(grade_of(&[]), Grade::Ok);
        let findings = [Finding::new("a", Grade::Note, ""), Finding::new("b", Grade::Wrong, "")];
        assert_eq!(grade_of(&findings), Grade::Wrong);
    }
}
