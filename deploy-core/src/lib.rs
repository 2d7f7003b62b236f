//! x

#[cfg(feature = "release")]
pub mod archive;
