//! The behaviour tests of `deploy-core`: the public API, and nothing else.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[cfg(feature = "release")]
mod archive;
mod documents;
#[cfg(feature = "release")]
mod release;
