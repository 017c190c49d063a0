//! Which facts stand in a file, and where.
//!
//! An index in the file would cost more than the facts themselves: ids are spread evenly, so each new one
//! would change a page of its own. One process holds the file, so memory is as good.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _};

use crate::JournalError;

/// The positions of all facts by the first half of their ids: 20 bytes for each.
#[derive(Debug, Default)]
pub(crate) struct Known {
    positions: HashMap<u64, u64>,
    /// What is not sure to stand there yet.
    added: Vec<u64>,
}

impl Known {
    /// Reads the ids of all facts.
    pub(crate) fn read(connection: &Connection) -> Result<Self, JournalError> {
        let mut known = Self::default();
        let mut select = connection.prepare("SELECT position, id FROM facts ORDER BY position")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            known.positions.insert(key(&row.get(1)?), row.get(0)?);
        }
        Ok(known)
    }

    /// Where a fact stands, if it does.
    pub(crate) fn find(
        &self,
        connection: &Connection,
        id: &[u8; 16],
    ) -> Result<Option<u64>, JournalError> {
        let Some(position) = self.positions.get(&key(id)) else { return Ok(None) };
        let mut select = connection.prepare_cached("SELECT id FROM facts WHERE position = ?1")?;
        let found: Option<[u8; 16]> = select.query_row([position], |row| row.get(0)).optional()?;
        if found.as_ref() == Some(id) {
            return Ok(Some(*position));
        }
        // Two ids with the same beginning: of a trillion trillion files one has such.
        let mut select = connection.prepare_cached("SELECT position FROM facts WHERE id = ?1")?;
        Ok(select.query_row([id], |row| row.get(0)).optional()?)
    }

    /// Notes where a fact was put, in a transaction that may yet fail.
    pub(crate) fn add(&mut self, id: &[u8; 16], position: u64) {
        if self.positions.insert(key(id), position).is_none() {
            self.added.push(key(id));
        }
    }

    /// The transaction is durable.
    pub(crate) fn committed(&mut self) {
        self.added.clear();
    }

    /// The transaction failed, and most likely nothing of it is there: what it added is looked for.
    pub(crate) fn failed(&mut self, connection: &Connection) {
        for added in self.added.drain(..) {
            let Some(position) = self.positions.get(&added) else { continue };
            let found: rusqlite::Result<[u8; 16]> = connection.query_row(
                "SELECT id FROM facts WHERE position = ?1",
                [position],
                |row| row.get(0),
            );
            if found.map(|id| key(&id)) != Ok(added) {
                self.positions.remove(&added);
            }
        }
    }

    pub(crate) fn remove(&mut self, id: &[u8; 16], position: u64) {
        let key = key(id);
        if self.positions.get(&key) == Some(&position) {
            self.positions.remove(&key);
        }
    }
}

fn key(id: &[u8; 16]) -> u64 {
    id.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_begin_alike_are_told_apart() {
        let connection = Connection::open_in_memory().expect("SQLite");
        connection
            .execute_batch("CREATE TABLE facts (position INTEGER PRIMARY KEY, id BLOB NOT NULL)")
            .expect("a table");
        let mut known = Known::default();
        let (mut one, mut other, mut third) = ([7; 16], [7; 16], [7; 16]);
        (one[15], other[15], third[15]) = (1, 2, 3);
        for (position, id) in [(1, one), (2, other)] {
            assert_eq!(known.find(&connection, &id).expect("an answer"), None);
            connection.execute("INSERT INTO facts VALUES (?1, ?2)", (position, id)).expect("a row");
            known.add(&id, position);
            known.committed();
        }
        for (id, position) in [(one, Some(1)), (other, Some(2)), (third, None)] {
            assert_eq!(known.find(&connection, &id).expect("an answer"), position);
        }
        let read = Known::read(&connection).expect("ids");
        assert_eq!(read.find(&connection, &one).expect("an answer"), Some(1));
        // Of a transaction that failed nothing is there, unless it is.
        connection.execute("INSERT INTO facts VALUES (3, ?1)", [[8; 16]]).expect("a row");
        known.add(&[8; 16], 3);
        known.add(&[9; 16], 4);
        known.failed(&connection);
        assert_eq!(known.positions.len(), 2);
        assert_eq!(known.find(&connection, &[8; 16]).expect("an answer"), Some(3));
    }
}
