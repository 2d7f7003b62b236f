//! Zip, read strictly: local and central records have to say the same, and every byte of the
//! package has to belong to exactly one of them.
//!
//! Entries are read in the order of the central directory, which has to be their order in the
//! file, each beginning where the one before ends. That alone rules out overlapping entries,
//! hidden ones and junk before, between and behind them, and needs no memory per entry.

mod content;
mod end;
mod extra;
mod fields;
mod record;
mod walk;

pub(super) use walk::walk;
