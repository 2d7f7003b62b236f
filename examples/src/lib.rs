//! What the example programs share: putting nodes together from an inventory and a state directory,
//! and showing what happens. Both are as short as a host application of your own would have them.

pub mod show;
pub mod wiring;

/// The README's program compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
