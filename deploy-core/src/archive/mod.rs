//! Packages: telling their format, inspecting them against limits, unpacking them safely.
//!
//! A package is somebody else's file. Everything in here reads it as if it were written by an
//! attacker: one strict reader per format, one walk that [`inspect`] and [`unpack`] share, so that
//! the two can never disagree, and a disk side that follows no link and never leaves the directory
//! it was given. What two tools could read in two ways is refused, not guessed.
//!
//! ```text
//! File ─ package ─ format ─┬─ stream ─ tar ─┐           ┌─ sink: counts only   (inspect)
//!                          ├─ zip ──────────┼─ layout ──┤
//!                          └─ single file ──┘  tree     └─ disk: openat, durable (unpack)
//! ```
//!
//! # What is accepted
//!
//! | format | told by |
//! |---|---|
//! | `.tar` | a tar header in the first block |
//! | `.tar.gz`, `.tar.zst`, `.tar.xz` | the compressor's magic, and a tar header in what it holds |
//! | `.zip` | a local header, or an empty archive's end record, in the first bytes |
//! | single file | everything else, and zips named `.jar`, `.war` or `.ear` |
//!
//! The bytes decide, with two exceptions where they say nothing: a first block of zeros is an empty
//! tar only under a name that promises an archive, and a name that promises one (`.tar`, `.tgz`,
//! `.tar.xz`, `.zip`, …) over bytes that hold none is refused as damaged instead of being deployed.
//!
//! # What is refused
//!
//! - **Names** that are absolute, hold `..`, a backslash, a drive letter, a control character or
//!   NUL, are not UTF-8, or are too long or too deep. `.` and empty components are dropped.
//! - **Kinds** other than file, directory, symbolic link and hard link; sparse and encrypted files.
//! - **Symbolic links** that are absolute or leave the release when resolved through the other
//!   links of the package, and entries whose path passes through a link. Links are created last.
//! - **Hard links** to anything but an earlier file of the same package.
//! - **Duplicates**: only a directory may be listed twice.
//! - **Ambiguity**: two names or sizes for one tar entry, data after the end of a tar, bytes of a
//!   zip that belong to no entry or to two, local and central records that differ.
//! - **Bombs**: see [`UnpackLimits`]. Limits hold while reading, before a byte is written.
//! - **Damage**: a missing end-of-archive block, a wrong checksum anywhere, a truncated stream.
//!   Compressed streams are read to their very end, so that their last checksum is compared too.
//!
//! Modes are cut to `0o755` and widened to owner read and write; owners, times and extended
//! attributes are not restored.

mod contents;
mod disk;
mod durable;
mod error;
mod format;
mod interrupt;
mod layout;
mod limits;
mod links;
mod package;
mod path;
mod ratio;
mod sink;
mod stream;
mod tar;
mod tree;
mod unpack;
mod zip;

pub use contents::PackageContents;
pub use error::{ArchiveError, Limit};
pub use format::PackageFormat;
pub use interrupt::Interrupt;
pub use limits::UnpackLimits;
pub use unpack::{inspect, unpack};
