//! A TCP proxy on loopback that harms what passes through it, as told.

mod faults;
mod line;
mod pair;
mod proxy;

pub use faults::{Direction, Fault, Faults};
pub use proxy::FaultProxy;
