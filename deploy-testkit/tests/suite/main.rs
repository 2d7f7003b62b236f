//! The behaviour of the test kit.

mod fakes;
mod virtual_clock;
