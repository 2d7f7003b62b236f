//! What the benches share: packages, a package server, the release bot's processes, and their cost.

pub mod bot;
pub mod cost;
pub mod floor;
pub mod ours;
pub mod package;
pub mod process;
pub mod release;
pub mod server;
pub mod stream;
