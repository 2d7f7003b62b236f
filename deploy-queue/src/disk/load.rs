//! Reading a store: from the database to what is kept in memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable};

use super::error::{OpenError, StoreError};
use super::mark::Mark;
use super::rows::{self, CARDS, META, META_KEY, Meta, STATES, TASKS};
use super::writer;
use crate::catalog::Catalog;
use crate::ledger::{Change, Fingerprint, Ledger, Limits};

/// How much of the database is kept in memory, in bytes: its inner pages for a million tasks, and
/// not the payloads, which are read once.
const CACHE: usize = 32 * 1024 * 1024;

/// A store that was read.
pub(super) struct Loaded {
    pub(super) database: Database,
    pub(super) meta: Meta,
    pub(super) ledger: Ledger,
    pub(super) catalog: Catalog,
    /// The order of the last push.
    pub(super) last_order: u64,
}

/// Makes an empty database.
pub(super) fn make(path: &Path) -> Result<(), OpenError> {
    let failed = |error: redb::Error| OpenError::database(path, error);
    let database = Database::create(path).map_err(|error| failed(error.into()))?;
    let meta = Meta {
        commits: 1,
        openings: 0,
    };
    let rows = Default::default();
    writer::write(&database, meta, &[], &rows).map_err(|error| OpenError::store(path, error))?;
    database.close().map_err(|error| failed(error.into()))
}

/// Opens and reads a database. Every page and every row is checked.
pub(super) fn load(
    directory: &Path,
    database: &Path,
    mark: Mark,
    limits: Limits,
) -> Result<Loaded, OpenError> {
    // The database panics on some kinds of damage.
    let loaded = catch_unwind(AssertUnwindSafe(|| {
        let opened = Database::builder()
            .set_cache_size(CACHE)
            .set_check_integrity_on_open(true)
            .open(database);
        let opened = opened.map_err(|error| OpenError::database(directory, error.into()))?;
        read(opened, mark, limits).map_err(|error| OpenError::store(directory, error))
    }));
    loaded.unwrap_or_else(|_| {
        let what = "the database".to_owned();
        Err(OpenError::store(directory, StoreError::Corrupt { what }))
    })
}

fn read(database: Database, mark: Mark, limits: Limits) -> Result<Loaded, StoreError> {
    let transaction = database.begin_read().map_err(StoreError::database)?;
    let meta = transaction.open_table(META).map_err(StoreError::database)?;
    let meta = meta.get(META_KEY).map_err(StoreError::database)?;
    let meta = meta.map_or_else(
        || {
            let what = "the table meta".to_owned();
            Err(StoreError::Corrupt { what })
        },
        |row| Meta::decode(row.value()),
    )?;
    if meta.commits < mark.commits {
        let (found, expected) = (meta.commits, mark.commits);
        let what = format!("the database ends at commit {found} of {expected}, so it");
        return Err(StoreError::Corrupt { what });
    }
    let meta = Meta {
        commits: meta.commits + 1,
        openings: meta.openings + 1,
    };
    // Each opening numbers its claims anew, so that no lease of an earlier one is taken for ours.
    let mut ledger = Ledger::new(limits, (u64::from(meta.openings) << 32) + 1);
    let states = transaction
        .open_table(STATES)
        .map_err(StoreError::database)?;
    let tasks = transaction
        .open_table(TASKS)
        .map_err(StoreError::database)?;
    let mut last_order = 0;
    for entry in tasks.iter().map_err(StoreError::database)? {
        let (order, row) = entry.map_err(StoreError::database)?;
        let order = order.value();
        let (task, due) = rows::decode_task(order, row.value())?;
        let state = states.get(order).map_err(StoreError::database)?;
        let state = match state {
            Some(row) => rows::decode_state(order, row.value())?,
            None => Change::Waits {
                order,
                due,
                attempts: 0,
            },
        };
        ledger.restore(order, &task, Fingerprint::of(&task), state);
        last_order = order;
    }
    let mut catalog = Catalog::default();
    let cards = transaction
        .open_table(CARDS)
        .map_err(StoreError::database)?;
    for entry in cards.iter().map_err(StoreError::database)? {
        let (task, row) = entry.map_err(StoreError::database)?;
        let (task, card) = rows::decode_card(task.value(), row.value())?;
        catalog.put(task, card);
    }
    drop(transaction);
    writer::write(&database, meta, &[], &Default::default())?;
    Ok(Loaded {
        database,
        meta,
        ledger,
        catalog,
        last_order,
    })
}
