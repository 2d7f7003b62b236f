//! HTTP for the deployment engine.

#[cfg(feature = "client")]
mod backoff;
mod error;
#[cfg(feature = "client")]
mod policy;
#[cfg(feature = "client")]
mod prober;
#[cfg(feature = "client")]
mod transport;
#[cfg(feature = "client")]
mod verifier;

pub use error::ConfigureError;
#[cfg(feature = "client")]
pub use policy::{HostLookup, UrlPolicy};
#[cfg(feature = "client")]
pub use prober::{HttpProber, HttpProberBuilder};
#[cfg(feature = "client")]
pub use verifier::{HttpVerifier, HttpVerifierBuilder};
