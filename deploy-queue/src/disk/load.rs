//! Reading a store: from the database to what is kept in memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use deploy_core::model::Timestamp;
use redb::{
    AccessGuard, Database, ReadOnlyDatabase, ReadableDatabase, ReadableTable, WriteTransaction,
};

use super::compact;
use super::error::{OpenError, StoreError};
use super::log;
use super::mark::Mark;
use super::pending::{Pending, transaction};
use super::row::Row;
use super::rows::{self, CARDS, META, META_KEY, Meta, STATES, TASKS};
use crate::catalog::Catalog;
use crate::ledger::{Change, Fingerprint, Ledger, Limits};

/// How much of the database is kept in memory, in bytes: its inner pages for a million tasks, and
/// not the payloads, which are read once.
const CACHE: usize = 16 * 1024 * 1024;

/// A store that was opened and read.
pub(super) struct Loaded {
    pub(super) database: Database,
    pub(super) meta: Meta,
    pub(super) read: Read,
}

/// What is kept in memory.
pub(super) struct Read {
    pub(super) ledger: Ledger,
    pub(super) catalog: Catalog,
    /// The order of the last push.
    pub(super) last_order: u64,
    /// The size of the rows that were read.
    bytes: u64,
}

/// Makes an empty database.
pub(super) fn make(path: &Path) -> Result<(), OpenError> {
    let failed = |error: redb::Error| OpenError::database(path, error);
    let database = Database::create(path).map_err(|error| failed(error.into()))?;
    let meta = Meta { commits: Mark::NEW.commits, openings: 0 };
    let written = Pending::default().write(&database, meta);
    written.map_err(|error| OpenError::store(path, error))?;
    database.close().map_err(|error| failed(error.into()))
}

/// Opens and reads a database and the content of the log in front of it. Every page and every row is
/// checked.
pub(super) fn load(
    directory: &Path,
    database: &Path,
    mark: Mark,
    log: Option<&[u8]>,
    limits: Limits,
    now: Timestamp,
) -> Result<Loaded, OpenError> {
    // The database panics on some kinds of damage.
    let loaded = catch_unwind(AssertUnwindSafe(|| {
        let failed = |error| OpenError::store(directory, error);
        look(database, mark, log).map_err(failed)?;
        let opened = Database::builder()
            .set_cache_size(CACHE)
            .set_check_integrity_on_open(true)
            .open(database);
        let mut opened = opened.map_err(|error| OpenError::database(directory, error.into()))?;
        let (meta, read) = recover(&opened, mark, log, limits, now).map_err(failed)?;
        if compact::is_due(&opened, database, read.bytes).map_err(failed)? {
            compact::compact(&mut opened).map_err(failed)?;
        }
        Ok(Loaded { database: opened, meta, read })
    }));
    loaded.unwrap_or_else(|_| {
        let what = "the database".to_owned();
        Err(OpenError::store(directory, StoreError::Corrupt { what }))
    })
}

/// Brings the log into the database and reads that, in one transaction: when damage is found,
/// nothing was changed.
fn recover(
    database: &Database,
    mark: Mark,
    log: Option<&[u8]>,
    limits: Limits,
    now: Timestamp,
) -> Result<(Meta, Read), StoreError> {
    let transaction = transaction(database)?;
    let mut meta = read_meta(&transaction.open_table(META).map_err(StoreError::database)?)?;
    let mut pending = Pending::default();
    for (number, body) in groups(meta, mark, log)? {
        for row in Row::decode_all(number, body)? {
            pending.apply(row);
        }
        meta.commits = number;
    }
    let meta = Meta { commits: meta.commits + 1, openings: meta.openings + 1 };
    pending.fill(&transaction, meta).map_err(StoreError::database)?;
    drop(pending);
    let read = read(&transaction, meta, limits, now)?;
    transaction.commit().map_err(StoreError::database)?;
    Ok((meta, read))
}

/// Looks whether the files belong together before the database is opened for writing, which may change
/// it. One that was not closed well cannot be looked into before it is repaired.
fn look(database: &Path, mark: Mark, log: Option<&[u8]>) -> Result<(), StoreError> {
    log.map_or(Ok(()), log::check_head)?;
    let Ok(database) = ReadOnlyDatabase::open(database) else { return Ok(()) };
    let transaction = database.begin_read().map_err(StoreError::database)?;
    let table = transaction.open_table(META).map_err(StoreError::database)?;
    groups(read_meta(&table)?, mark, log).map(drop)
}

/// The groups of the log that the database does not have; with them the store goes as far as its mark.
fn groups(meta: Meta, mark: Mark, log: Option<&[u8]>) -> Result<Vec<log::Group<'_>>, StoreError> {
    let groups = log.map_or(Ok(Vec::new()), |log| log::groups(log, meta.commits))?;
    let (found, expected) = (groups.last().map_or(meta.commits, |last| last.0), mark.commits);
    if found < expected {
        let what = format!("the store ends at commit {found} of {expected}, so it");
        return Err(StoreError::Corrupt { what });
    }
    Ok(groups)
}

fn read_meta(table: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Meta, StoreError> {
    let row = table.get(META_KEY).map_err(StoreError::database)?;
    let Some(row) = row else {
        return Err(StoreError::Corrupt { what: "the table meta".to_owned() });
    };
    Meta::decode(row.value())
}

/// Reads the tasks, and what the journal knows of each.
fn read(
    transaction: &WriteTransaction,
    meta: Meta,
    limits: Limits,
    now: Timestamp,
) -> Result<Read, StoreError> {
    // Each opening numbers its claims anew, so that no lease of an earlier one is taken for ours.
    let mut ledger = Ledger::new(limits, (u64::from(meta.openings) << 32) + 1);
    let states = transaction.open_table(STATES).map_err(StoreError::database)?;
    let mut states = states.iter().map_err(StoreError::database)?.peekable();
    let tasks = transaction.open_table(TASKS).map_err(StoreError::database)?;
    let (mut last_order, mut bytes) = (0, 0);
    for entry in tasks.iter().map_err(StoreError::database)? {
        let (order, row) = entry.map_err(StoreError::database)?;
        let order = order.value();
        let (task, due) = rows::decode_task(order, row.value())?;
        bytes += row.value().len() as u64;
        let mut state = Change::Waits { order, due, attempts: 0 };
        // Both tables are in the same order.
        let here = |state: &Result<(AccessGuard<'_, u64>, _), _>| match state {
            Ok((at, _)) => at.value() <= order,
            Err(_) => true,
        };
        while let Some(entry) = states.next_if(here) {
            let (at, row) = entry.map_err(StoreError::database)?;
            if at.value() == order {
                state = rows::decode_state(order, row.value())?;
            }
        }
        ledger.restore(order, &task, Fingerprint::of(&task), state);
        // At once, so that those which are due take no room among those which are not.
        ledger.tick(now);
        last_order = order;
    }
    let mut catalog = Catalog::default();
    let cards = transaction.open_table(CARDS).map_err(StoreError::database)?;
    for entry in cards.iter().map_err(StoreError::database)? {
        let (task, row) = entry.map_err(StoreError::database)?;
        bytes += row.value().len() as u64;
        let (task, card) = rows::decode_card(task.value(), row.value())?;
        catalog.put(task, card);
    }
    Ok(Read { ledger, catalog, last_order, bytes })
}
