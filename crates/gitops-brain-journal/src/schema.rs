//! The file's form: recognised before anything is written to it.

use rusqlite::Connection;

use crate::JournalError;

/// Tells our files from those of other programs: "GOBr" in ASCII.
const APPLICATION_ID: i64 = 0x474F_4272;

/// Each brings the tables from one version to the next. `AUTOINCREMENT`, so that a position is never used
/// twice, though rows are deleted.
const STEPS: [&str; 2] = [
    "CREATE TABLE facts (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        id       BLOB    NOT NULL, -- unique: see `known::Known`
        at       INTEGER NOT NULL, -- milliseconds since 1970
        line     TEXT    NOT NULL
    ) STRICT",
    "CREATE TABLE cursors (
        name     TEXT    PRIMARY KEY,
        position INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
];

/// Makes sure that the file is a sound journal of ours, or makes one of an empty file. Everything
/// else is refused before the first write.
pub(crate) fn prepare(connection: &mut Connection) -> Result<(), JournalError> {
    let application_id = pragma(connection, "application_id")?;
    let version = pragma(connection, "user_version")?;
    let newest = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application_id, version) {
        (0, 0) if tables == 0 => upgrade(connection, 0),
        (APPLICATION_ID, version) if version > newest => Err(JournalError::Newer {
            cause: format!("schema {version}, this release reads up to {newest}"),
        }),
        (APPLICATION_ID, version @ 1..) => {
            check(connection)?;
            upgrade(connection, version)
        }
        (APPLICATION_ID, version) => {
            Err(JournalError::Corrupt { cause: format!("there is no schema {version}") })
        }
        _ => {
            Err(JournalError::Corrupt { cause: "it is the database of another program".to_owned() })
        }
    }
}

/// Brings the tables up to date, all steps or none.
fn upgrade(connection: &mut Connection, version: i64) -> Result<(), JournalError> {
    let made = usize::try_from(version).unwrap_or_default();
    if made == STEPS.len() {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    for step in STEPS.iter().skip(made) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", STEPS.len())?;
    Ok(transaction.commit()?)
}

/// Damage is found now, and not when a fact is missing.
fn check(connection: &Connection) -> Result<(), JournalError> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(JournalError::Corrupt { cause: found }) }
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, JournalError> {
    Ok(connection.pragma_query_value(None, name, |row| row.get(0))?)
}
