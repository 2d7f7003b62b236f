//! The behaviour of the test kit.

mod engine;
mod fakes;
mod virtual_clock;
