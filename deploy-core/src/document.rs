//! Documents that people write: a neutral value tree and a decoder that finds every fault at once.
//!
//! JSON, TOML and YAML are read into one [`Value`]; a type that people write implements [`Decode`]
//! and is built from it. Decoding never stops at the first fault: it goes on, and the document is
//! refused with the whole list, each fault with the path of the field, what was found, what is
//! allowed and, for a misspelt key, the nearest one.

mod decode;
mod fault;
mod nearest;
mod value;

pub use decode::{Decode, Node, Table, decode};
#[cfg(feature = "release")]
pub(crate) use fault::quoted;
pub use fault::{Fault, Faults, Invalid};
pub use value::{MAX_DEPTH, Value};

pub(crate) use decode::{decode_text, deserialize_by_decode};
#[cfg(feature = "zones")]
pub(crate) use nearest::nearest;
