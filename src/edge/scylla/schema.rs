//! The schema's steps, and the two kinds of statements in them.
//!
//! Promise: a step only adds tables and columns. It is safe to repeat after any part of it took effect.
//! Not here: executing steps (`upgrade.rs`), comparing versions (`keys::SchemaMismatch`).

use crate::keys::StoreError;

use super::fault::malformed;

/// From one schema version to the next. A released step never changes.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The version that the step leads to; the one before it is `to - 1`.
    pub to: u32,
    /// Describes the additions, for people.
    pub what: &'static str,
    /// `CREATE TABLE IF NOT EXISTS ..` and `ALTER TABLE table ADD column type [static]`. Each statement ends
    /// with a semicolon at the end of a line.
    pub cql: &'static str,
}

/// Every step, from version 1 without a gap.
pub static STEPS: &[Step] = &[
    Step { to: 1, what: "the tables", cql: include_str!("../../../schemas/keystore.cql") },
    Step {
        to: 2,
        what: "topics of started partitions, placements of output topics",
        cql: include_str!("../../../schemas/keystore.2.cql"),
    },
];

/// The version that a program with these steps uses.
///
/// # Panics
/// Without a step.
pub(super) fn known(steps: &[Step]) -> u32 {
    steps.last().expect("version 1 is a step").to
}

/// A statement of a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// It is safe to execute again.
    Table(String),
    /// It cannot be executed again: servers refuse an existing column, and not all of them know
    /// `ADD IF NOT EXISTS` (Cassandra has it from 4.1: CASSANDRA-16916).
    Column { table: String, column: String, kind: String, statement: String },
}

impl Step {
    /// The step's statements in order, without comments.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] for a statement of another kind.
    pub(super) fn changes(&self) -> Result<Vec<Change>, StoreError> {
        let code: Vec<&str> =
            self.cql.lines().map(|line| line.split("--").next().unwrap_or_default().trim_end()).collect();
        let code = code.join("\n") + "\n";
        code.split(";\n").map(str::trim).filter(|text| !text.is_empty()).map(Change::parse).collect()
    }
}

impl Change {
    fn parse(statement: &str) -> Result<Self, StoreError> {
        if statement.starts_with("CREATE TABLE IF NOT EXISTS ") {
            return Ok(Self::Table(statement.to_owned()));
        }
        let column = || {
            let (table, column) = statement.strip_prefix("ALTER TABLE ")?.split_once(" ADD ")?;
            let (column, kind) = column.trim().split_once(' ')?;
            let kind = kind.trim().strip_suffix(" static").unwrap_or(kind.trim());
            Some(Self::Column {
                table: table.trim().trim_matches('"').to_owned(),
                column: column.trim_matches('"').to_owned(),
                kind: kind.to_owned(),
                statement: statement.to_owned(),
            })
        };
        column().ok_or_else(|| malformed("step of the schema"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn step(cql: &'static str) -> Step {
        Step { to: 2, what: "", cql }
    }

    #[test]
    fn steps_are_numbered_from_1_without_a_gap() {
        let numbers: Vec<u32> = STEPS.iter().map(|step| step.to).collect();
        assert_eq!(numbers, (1..=known(STEPS)).collect::<Vec<_>>());
    }

    #[test]
    fn every_statement_only_adds() {
        let count = |step: &Step| step.changes().expect("its statements add").len();
        assert_eq!(STEPS.iter().map(count).collect::<Vec<_>>(), [12, 3]);
    }

    #[test]
    fn a_column_is_told_from_its_statement() {
        let cql = "-- comment\nALTER TABLE policy ADD \"note\" map<text, int> static; -- why\n\
                   ALTER TABLE key\n ADD x int;\n";
        let column = |table: &str, column: &str, kind: &str, statement: &str| Change::Column {
            table: table.to_owned(),
            column: column.to_owned(),
            kind: kind.to_owned(),
            statement: statement.to_owned(),
        };
        let wanted = [
            column(
                "policy",
                "note",
                "map<text, int>",
                "ALTER TABLE policy ADD \"note\" map<text, int> static",
            ),
            column("key", "x", "int", "ALTER TABLE key\n ADD x int"),
        ];
        assert_eq!(step(cql).changes().expect("its statements add"), wanted);
    }

    #[test]
    fn what_takes_away_or_cannot_be_repeated_is_no_statement_of_a_step() {
        for cql in [
            "DROP TABLE key;\n",
            "ALTER TABLE key DROP kek;\n",
            "ALTER TABLE key ADD;\n",
            "ALTER TABLE key RENAME hour TO h;\n",
            "TRUNCATE key;\n",
            "CREATE TABLE key (id int PRIMARY KEY);\n",
        ] {
            assert!(matches!(step(cql).changes(), Err(StoreError::Unusable(_))), "{cql}");
        }
    }
}
