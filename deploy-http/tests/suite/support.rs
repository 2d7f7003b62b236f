//! What the tests share: a scripted server, a faulty proxy, an agent, packages.

pub(crate) mod agent;
pub(crate) mod authority;
pub(crate) mod client;
pub(crate) mod control;
pub(crate) mod package;
pub(crate) mod proxy;
pub(crate) mod scopes;
pub(crate) mod server;
pub(crate) mod world;

use std::time::Duration;

use deploy_core::Context;
use deploy_testkit::samples;
use tokio::task::JoinHandle;

/// A context of a first attempt.
pub(crate) fn context() -> Context {
    Context::new(samples::task_id("test"))
}

/// The shortest pause that still is one.
pub(crate) const SOON: Duration = Duration::from_millis(1);

/// A task that ends with the test.
#[derive(Debug)]
pub(crate) struct Background(pub(crate) JoinHandle<()>);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}
