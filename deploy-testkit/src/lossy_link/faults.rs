//! What goes wrong on the network, how often, and how long is waited for what.

use std::time::Duration;

/// What goes wrong on the network, and how often: each figure is out of a thousand. Nothing does by
/// default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkFaults {
    /// A call does not arrive.
    pub lost: u32,
    /// A call is done, and its answer does not arrive.
    pub unanswered: u32,
    /// A call arrives twice, the second time up to two minutes later.
    pub doubled: u32,
    /// A call takes up to two minutes, longer than its caller waits.
    pub late: u32,
    /// A stream of events breaks off, or falls silent, before its next event.
    pub broken: u32,
}

impl LinkFaults {
    /// Everything goes wrong now and then.
    #[must_use]
    pub fn everything(per_mille: u32) -> Self {
        Self {
            lost: per_mille,
            unanswered: per_mille,
            doubled: per_mille,
            late: per_mille / 2,
            broken: per_mille,
        }
    }
}

/// How long an executor waits for what. The defaults are those of `deploy_http::HttpExecutor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Patience {
    /// For the answer to a call.
    pub call: Duration,
    /// For a task to be taken, over all tries.
    pub retry_window: Duration,
    /// For a sign of life on a stream.
    pub quiet: Duration,
    /// For an agent that took a task and is not heard of.
    pub lost_after: Duration,
    /// For the report of a task that was cancelled.
    pub cancel_grace: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            call: seconds(30),
            retry_window: seconds(60),
            quiet: seconds(45),
            lost_after: seconds(300),
            cancel_grace: seconds(120),
        }
    }
}

/// A rule that executors break, to see whether a test notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkFlaw {
    /// What is not known is taken for a success.
    TakesLostForDone,
}
