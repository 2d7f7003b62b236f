//! The log in front of the database: every commit is a group of rows that is appended and synced once.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::FileExt;

use super::error::StoreError;
use crate::failpoint::{fail_point, log_limit};

/// What the file begins with.
const MAGIC: &[u8; 16] = b"deploy-queue log";

/// What a group begins with.
const GROUP: &[u8; 8] = b"dq-group";

/// Groups, and the first one, begin at multiples of this, so that one can be found behind damage.
const ALIGNMENT: usize = 64;

/// The length of a group's head: what it begins with, checksum, number and length of the body.
const HEAD: usize = 8 + 4 + 8 + 8;

/// The file is not cut below this length, in bytes, and is written over from its beginning when it
/// has grown beyond it: what is there already needs no new blocks, so that a sync is cheaper.
pub(crate) const LIMIT: u64 = 8 * 1024 * 1024;

/// The open log.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    /// Goes into all checksums: nobody who chooses a payload can make it look like a group.
    salt: [u8; 8],
    /// Where the next group goes.
    end: u64,
}

/// A group that was read: its number, and its body.
pub(super) type Group<'a> = (u64, &'a [u8]);

impl Log {
    /// How many bytes a log has to which nothing was ever appended.
    pub(super) const NEW: usize = ALIGNMENT;

    /// The content of an empty log.
    pub(super) fn new_content() -> Vec<u8> {
        let salt = RandomState::new().build_hasher().finish();
        let mut content = MAGIC.to_vec();
        content.extend(salt.to_le_bytes());
        content.extend(crc32fast::hash(&content).to_le_bytes());
        content.resize(Self::NEW, 0);
        content
    }

    /// Takes an open log whose content was read, and whose groups are in the database by now.
    pub(super) fn reuse(file: File, content: &[u8]) -> Result<Self, StoreError> {
        let salt = salt(content)?;
        let mut log = Self { file, salt, end: 0 };
        log.rewind().map_err(StoreError::disk)?;
        Ok(log)
    }

    /// Begins anew, once all groups are in the database. Those that are there are written over.
    pub(super) fn rewind(&mut self) -> io::Result<()> {
        self.end = ALIGNMENT as u64;
        if self.file.metadata()?.len() > 2 * log_limit() {
            self.file.set_len(log_limit())?;
        }
        Ok(())
    }

    /// Says whether it is time to bring the groups into the database.
    pub(super) fn is_long(&self) -> bool {
        self.end >= log_limit()
    }

    /// Begins a group in a buffer, to which the body is appended.
    pub(super) fn begin(buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.resize(HEAD, 0);
    }

    /// Appends the group in a buffer and syncs it.
    pub(super) fn append(&mut self, number: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
        let length = (buffer.len() - HEAD) as u64;
        buffer[12..20].copy_from_slice(&number.to_le_bytes());
        buffer[20..28].copy_from_slice(&length.to_le_bytes());
        let check = checksum(self.salt, &buffer[12..]);
        buffer[..8].copy_from_slice(GROUP);
        buffer[8..12].copy_from_slice(&check.to_le_bytes());
        buffer.resize(buffer.len().next_multiple_of(ALIGNMENT), 0);
        self.file.write_all_at(buffer, self.end)?;
        fail_point("log.written");
        self.file.sync_data()?;
        self.end += buffer.len() as u64;
        Ok(())
    }
}

/// Checks the head of a log, before anything is done on its word.
pub(super) fn check_head(content: &[u8]) -> Result<(), StoreError> {
    salt(content).map(drop)
}

/// The groups that come after the commit `after`, with which the database ends.
///
/// A group that is not whole is the end, when nothing comes after it: its sync never returned, so
/// that it was acknowledged to nobody. A whole one behind it says that it was synced, since one is
/// written only when the one before is on disk; then it is damage.
pub(super) fn groups(content: &[u8], after: u64) -> Result<Vec<Group<'_>>, StoreError> {
    let salt = salt(content)?;
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut at = ALIGNMENT;
    while let Some((number, body)) = group(content, salt, at)
        && groups.last().is_none_or(|(last, _)| number == last + 1)
    {
        groups.push((number, body));
        at += (HEAD + body.len()).next_multiple_of(ALIGNMENT);
    }
    // What is in the database was left behind by a log that began anew.
    groups.retain(|(number, _)| *number > after);
    let first = groups.first().map_or(after + 1, |(number, _)| *number);
    let next = groups.last().map_or(after, |(number, _)| *number) + 1;
    let newer = |at| group(content, salt, at).is_some_and(|(number, _)| number >= next);
    if first != after + 1 || (at..content.len()).step_by(ALIGNMENT).any(newer) {
        let number = if first == after + 1 { next } else { after + 1 };
        return Err(StoreError::Corrupt { what: format!("the commit {number} in the log") });
    }
    Ok(groups)
}

/// The group at a place, when it is whole.
fn group(content: &[u8], salt: [u8; 8], at: usize) -> Option<Group<'_>> {
    let rest = content.get(at..)?.strip_prefix(GROUP)?;
    let (check, rest) = rest.split_first_chunk()?;
    let (number, tail) = rest.split_first_chunk()?;
    let (length, body) = tail.split_first_chunk()?;
    let body = body.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let checked = rest.get(..16 + body.len())?;
    (u32::from_le_bytes(*check) == checksum(salt, checked))
        .then_some((u64::from_le_bytes(*number), body))
}

fn salt(content: &[u8]) -> Result<[u8; 8], StoreError> {
    let salt = (|| {
        let (head, check) = content.get(..28)?.split_last_chunk()?;
        let salt = head.strip_prefix(MAGIC)?;
        (u32::from_le_bytes(*check) == crc32fast::hash(head)).then(|| salt.try_into().ok())?
    })();
    salt.ok_or_else(|| StoreError::Corrupt { what: "the head of the log".to_owned() })
}

fn checksum(salt: [u8; 8], group: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt);
    hasher.update(group);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appends groups of such sizes, numbered on from `first`, and gives the file's content.
    fn write(log: &mut Log, first: u64, sizes: &[usize]) -> Vec<u8> {
        let mut buffer = Vec::new();
        for (number, size) in (first..).zip(sizes) {
            Log::begin(&mut buffer);
            buffer.extend(vec![7; *size]);
            log.append(number, &mut buffer).unwrap();
        }
        let mut content = vec![0; usize::try_from(log.file.metadata().unwrap().len()).unwrap()];
        log.file.read_exact_at(&mut content, 0).unwrap();
        content
    }

    fn new_log() -> Log {
        let content = Log::new_content();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&content, 0).unwrap();
        Log::reuse(file, &content).unwrap()
    }

    fn numbers(content: &[u8], after: u64) -> Result<Vec<u64>, StoreError> {
        Ok(groups(content, after)?.into_iter().map(|(number, _)| number).collect())
    }

    #[test]
    fn a_group_that_is_cut_at_any_byte_is_the_end_when_it_is_the_last() {
        let whole = write(&mut new_log(), 5, &[100, 0, 300]);
        let last = ALIGNMENT + 128 + 64;
        assert_eq!(numbers(&whole, 4).unwrap(), [5, 6, 7]);
        // The padding behind the body says nothing.
        for length in last..last + HEAD + 300 {
            assert_eq!(numbers(&whole[..length], 4).unwrap(), [5, 6], "{length}");
        }
        assert_eq!(numbers(&whole, 6).unwrap(), [7]);
        assert!(numbers(&whole, 7).unwrap().is_empty());
    }

    #[test]
    fn a_flipped_bit_before_the_last_group_is_damage_and_in_the_last_one_the_end() {
        let whole = write(&mut new_log(), 1, &[40, 40, 40]);
        for bit in 0..(ALIGNMENT + 3 * 128) * 8 {
            let mut damaged = whole.clone();
            // Bodies of 40 bytes and heads of 28 have 60 bytes of padding behind them.
            let (byte, place) = (bit / 8, (bit / 8) % 128);
            let Some(byte) = damaged.get_mut(byte) else { continue };
            *byte ^= 1 << (bit % 8);
            let found = numbers(&damaged, 0);
            let padding = if bit / 8 < 64 { bit / 8 >= 28 } else { (4..64).contains(&place) };
            match bit / 8 {
                _ if padding => assert_eq!(found.unwrap(), [1, 2, 3], "bit {bit}"),
                at if at < 64 + 2 * 128 => assert!(found.is_err(), "bit {bit}: {found:?}"),
                _ => assert_eq!(found.unwrap(), [1, 2], "bit {bit}"),
            }
        }
    }

    #[test]
    fn what_a_log_that_began_anew_left_behind_is_not_taken_for_new() {
        let mut log = new_log();
        write(&mut log, 1, &[40; 6]);
        log.rewind().unwrap();
        let content = write(&mut log, 8, &[40, 40]);
        assert_eq!(numbers(&content, 7).unwrap(), [8, 9]);
        // Neither behind a group that is not whole.
        let mut torn = content;
        torn[ALIGNMENT + 128 + HEAD] ^= 1;
        assert_eq!(numbers(&torn, 7).unwrap(), [8]);
    }

    #[test]
    fn a_log_that_does_not_go_on_where_the_database_ends_is_damage() {
        let content = write(&mut new_log(), 5, &[40, 40]);
        assert!(matches!(numbers(&content, 3), Err(StoreError::Corrupt { .. })));
        let other = Log::new_content();
        let foreign = [&other[..ALIGNMENT], &content[ALIGNMENT..]].concat();
        assert!(numbers(&foreign, 4).unwrap().is_empty());
    }
}
