//! Fakes, a virtual clock and conformance suites for whoever embeds or extends the deployment engine.

pub mod conformance;
mod fake_verifier;
mod host_script;
pub mod samples;
mod scripted_executor;
mod static_resolver;
mod virtual_clock;

pub use fake_verifier::FakeVerifier;
pub use host_script::HostScript;
pub use scripted_executor::ScriptedExecutor;
pub use static_resolver::StaticResolver;
pub use virtual_clock::VirtualClock;
