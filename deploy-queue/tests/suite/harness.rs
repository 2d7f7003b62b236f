//! What the fault tests share: a child under load, the book of what it said, and the check of a
//! store against the book.

mod book;
mod check;
mod child;
mod content;
mod lane;
mod load;
mod process;
mod tracer;
mod volume;

pub(crate) use book::Book;
pub(crate) use check::{Tally, check};
pub(crate) use process::{Job, Plan, Random, copy, cycles, scratch};
pub(crate) use tracer::{Calls, Tracer};
pub(crate) use volume::Volume;
