//! Giving the disk back what was taken by rows that are gone.

use std::path::Path;

use redb::Database;

use super::error::StoreError;

/// A database is not compacted below this size, in bytes: it is not worth the time.
const SMALL: u64 = 16 * 1024 * 1024;

/// How many times larger than its pages in use a database may be.
const MOST: u64 = 2;

/// Says whether most of a database's file is free. `rows` is how many bytes of rows were seen in it:
/// only when they fill little of the file, all of it is looked at.
pub(super) fn is_due(database: &Database, path: &Path, rows: u64) -> Result<bool, StoreError> {
    let size = std::fs::metadata(path).map_err(StoreError::disk)?.len();
    if size <= SMALL || rows.saturating_mul(2 * MOST) > size {
        return Ok(false);
    }
    let transaction = database.begin_write().map_err(StoreError::database)?;
    let statistics = transaction.stats().map_err(StoreError::database)?;
    transaction.abort().map_err(StoreError::database)?;
    let used = statistics.allocated_pages() * statistics.page_size() as u64;
    Ok(used * MOST < size)
}

/// Moves what is there to the front of the file, and cuts the rest off.
pub(super) fn compact(database: &mut Database) -> Result<(), StoreError> {
    while database.compact().map_err(StoreError::database)? {}
    Ok(())
}
