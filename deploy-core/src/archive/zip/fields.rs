//! The little-endian numbers of zip records.

/// Reads two bytes of a record.
pub(super) fn short(record: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([record[at], record[at + 1]])
}

/// Reads four bytes of a record.
pub(super) fn long(record: &[u8], at: usize) -> u32 {
    u32::from(short(record, at)) | u32::from(short(record, at + 2)) << 16
}

/// Reads eight bytes of a record.
pub(super) fn wide(record: &[u8], at: usize) -> u64 {
    u64::from(long(record, at)) | u64::from(long(record, at + 4)) << 32
}
