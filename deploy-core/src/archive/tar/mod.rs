//! Tar, read strictly: what GNU tar, bsdtar and others could list in different ways is refused.
//!
//! The layouts of a header come from the crate `tar`. Its own iteration is not used, because it
//! reads extension headers without a limit, cuts numbers that are too large, and does not tell an
//! end-of-archive block from a truncated file.

mod extensions;
pub(super) mod header;
mod pax;
mod walk;

pub(super) use walk::walk;
