//! The behaviour of the test kit, and of the engine over it.

// The helpers of the tests unwrap as the tests do.
#![allow(clippy::unwrap_used)]

mod at_rest;
mod attempts;
mod broken_connectors;
mod broken_journals;
mod broken_queues;
mod connectors;
mod engine;
mod fakes;
mod fault_proxy;
mod line;
mod looking;
mod lossy_link;
mod model_fleet;
mod people;
mod plan;
mod resolvers;
mod retention;
mod rollback;
mod rollout;
mod schedule;
mod simulation;
mod ssh_fleet;
mod stumbling;
mod support;
mod virtual_clock;
