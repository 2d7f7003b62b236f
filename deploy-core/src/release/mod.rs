//! docs below
mod child;
mod drive;
mod executor;
mod health;
mod hosts;
mod install;
mod job;
mod local;
mod marker;
mod output;
mod place;
mod probe;
mod quote;
mod reader;
mod report;
mod script;
mod send;
mod state;

pub use executor::{ReleaseExecutor, ReleaseExecutorBuilder};
pub use local::{LocalConnector, LocalSession};
