//! Creates four roles in the cluster. An administrator grants them to the users of the processes.

use super::definition::define;
use super::open::ScyllaOptions;
use crate::keys::StoreError;

/// Tables that the sealer may write; it may read all tables. Servers have no right to insert without the
/// right to delete, so rights are granted by table (`schemas/keystore.cql`).
const SEALER: [&str; 7] = ["key", "customer", "due", "kek", "started", "placement", "probe"];
/// Tables that the eraser may write; it may read all tables.
const ERASER: [&str; 12] = [
    "key",
    "customer",
    "due",
    "kek",
    "started",
    "placement",
    "probe",
    "policy",
    "hold",
    "verdict",
    "command",
    "receipt_mark",
];

/// The statements that create the roles `<keyspace>_sealer`, `_eraser`, `_auditor` and `_admin`. They are
/// safe to execute again.
fn statements(keyspace: &str) -> Vec<String> {
    let mut statements = Vec::new();
    for (role, tables) in [("sealer", &SEALER[..]), ("eraser", &ERASER[..]), ("auditor", &[]), ("admin", &[])]
    {
        let name = format!("{keyspace}_{role}");
        statements.push(format!("CREATE ROLE IF NOT EXISTS {name} WITH LOGIN = false"));
        let right = if role == "admin" { "ALL" } else { "SELECT" };
        statements.push(format!("GRANT {right} ON KEYSPACE {keyspace} TO {name}"));
        statements
            .extend(tables.iter().map(|table| format!("GRANT MODIFY ON TABLE {keyspace}.{table} TO {name}")));
    }
    statements
}

/// Creates the roles and their rights, and returns the statements that it executed. It gives no user a role:
/// `GRANT <keyspace>_sealer TO <user>` does that.
///
/// # Errors
/// [`StoreError::Unusable`] if the cluster has no authorizer, or if this user may not create roles.
pub async fn create_roles(options: &ScyllaOptions) -> Result<Vec<String>, StoreError> {
    let (session, _) = options.session.connect(&options.keyspace).await?;
    let statements = statements(&options.keyspace);
    for statement in &statements {
        define(&session, statement).await?;
    }
    Ok(statements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::scylla::schema::{Change, STEPS};

    /// A step that adds a table must also add it to the tables of a role.
    #[test]
    fn every_table_but_the_identity_is_written_by_the_eraser() {
        let created = |statement: &str| {
            let name = statement.strip_prefix("CREATE TABLE IF NOT EXISTS ")?.split([' ', '(']).next()?;
            Some(name.to_owned())
        };
        let mut tables = Vec::new();
        for change in STEPS.iter().flat_map(|step| step.changes().expect("its statements add")) {
            if let Change::Table(statement) = change {
                tables.push(created(&statement).expect("a name"));
            }
        }
        tables.retain(|table| table != "meta");
        tables.sort();
        let mut written = ERASER.map(str::to_owned);
        written.sort();
        assert_eq!(tables, written);
    }

    #[test]
    fn only_the_eraser_writes_what_was_decided() {
        for table in ["policy", "hold", "verdict", "command", "receipt_mark"] {
            assert!(!SEALER.contains(&table) && ERASER.contains(&table), "{table}");
        }
        assert!(SEALER.iter().all(|table| ERASER.contains(table)));
        assert!(
            !statements("k").iter().any(|statement| statement.contains("meta")),
            "no role gets a right on `meta` itself"
        );
    }
}
