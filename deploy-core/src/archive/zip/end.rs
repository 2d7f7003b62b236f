//! The end of a zip: where its central directory is.

use super::super::error::{ArchiveError, Limit};
use super::super::package::{Cursor, Package};
use super::fields::{long, short, wide};

const END: [u8; 4] = *b"PK\x05\x06";
const END_BYTES: u64 = 22;
const LOCATOR: [u8; 4] = *b"PK\x06\x07";
const LOCATOR_BYTES: u64 = 20;
const END64: [u8; 4] = *b"PK\x06\x06";
const END64_BYTES: u64 = 56;

/// The longest comment, whose length has two bytes.
const COMMENT_BYTES: u64 = 65_535;

/// What the end records say about the central directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) entries: u64,
    pub(super) start: u64,
    /// Where it ends, which is where the end records begin.
    pub(super) end: u64,
}

impl Directory {
    pub(super) fn find(package: Package<'_>, most_entries: u64) -> Result<Self, ArchiveError> {
        let at = find_end(package)?;
        let end: [u8; END_BYTES as usize] = Cursor::new(package, at).array()?;
        let disks = (short(&end, 4), short(&end, 6));
        let (here, all) = (short(&end, 8), short(&end, 10));
        if disks != (0, 0) || here != all {
            return Err(ArchiveError::damaged("its zip is split over several files"));
        }
        let small = Claims {
            entries: u64::from(all),
            bytes: u64::from(long(&end, 12)),
            start: u64::from(long(&end, 16)),
        };
        let (claims, records) = match find_end64(package, at)? {
            Some((large, start)) if small.agrees_with(&large) => (large, start),
            None if !small.needs_end64() => (small, at),
            _ => return Err(ArchiveError::damaged("its zip64 end records disagree")),
        };
        if claims.start.checked_add(claims.bytes) != Some(records) {
            let reason = "its central directory is not where its end record says";
            return Err(ArchiveError::damaged(reason));
        }
        if claims.entries > most_entries {
            return Err(ArchiveError::too_large(Limit::Entries, most_entries));
        }
        Ok(Self { entries: claims.entries, start: claims.start, end: records })
    }
}

/// What one end record says.
#[derive(Clone, Copy, Debug)]
struct Claims {
    entries: u64,
    bytes: u64,
    start: u64,
}

impl Claims {
    fn needs_end64(&self) -> bool {
        self.entries == u64::from(u16::MAX)
            || self.bytes == u64::from(u32::MAX)
            || self.start == u64::from(u32::MAX)
    }

    /// Says whether each field is the other's, or left to the other.
    fn agrees_with(&self, large: &Self) -> bool {
        let short = u64::from(u16::MAX);
        let long = u64::from(u32::MAX);
        (self.entries == large.entries || self.entries == short)
            && (self.bytes == large.bytes || self.bytes == long)
            && (self.start == large.start || self.start == long)
    }
}

/// Finds the last end record, whose comment has to reach to the end of the package.
fn find_end(package: Package<'_>) -> Result<u64, ArchiveError> {
    let from = package.len.saturating_sub(END_BYTES + COMMENT_BYTES);
    let mut bytes = Vec::new();
    Cursor::new(package, from).bytes(&mut bytes, (package.len - from) as usize)?;
    let found = bytes.windows(END.len()).rposition(|window| window == END);
    let fits = |at: &usize| match bytes.get(at + 20..at + 22) {
        Some(length) => at + 22 + usize::from(short(length, 0)) == bytes.len(),
        None => false,
    };
    match found.filter(fits) {
        Some(at) => Ok(from + at as u64),
        None => Err(ArchiveError::damaged("its zip has no sound end record")),
    }
}

/// Reads the zip64 end record, if its locator stands before the end record.
fn find_end64(package: Package<'_>, end: u64) -> Result<Option<(Claims, u64)>, ArchiveError> {
    let Some(locator_at) = end.checked_sub(LOCATOR_BYTES) else {
        return Ok(None);
    };
    let locator: [u8; LOCATOR_BYTES as usize] = Cursor::new(package, locator_at).array()?;
    if !locator.starts_with(&LOCATOR) {
        return Ok(None);
    }
    let damaged = || ArchiveError::damaged("its zip64 end record is unsound");
    let at = wide(&locator, 8);
    if at.checked_add(END64_BYTES) != Some(locator_at) {
        return Err(damaged());
    }
    let record: [u8; END64_BYTES as usize] = Cursor::new(package, at).array()?;
    let (here, all) = (wide(&record, 24), wide(&record, 32));
    let sound = record.starts_with(&END64)
        && wide(&record, 4) == END64_BYTES - 12
        && (long(&record, 16), long(&record, 20)) == (0, 0)
        && (long(&locator, 4), long(&locator, 16)) == (0, 1)
        && here == all;
    if !sound {
        return Err(damaged());
    }
    let claims = Claims { entries: all, bytes: wide(&record, 40), start: wide(&record, 48) };
    Ok(Some((claims, at)))
}
