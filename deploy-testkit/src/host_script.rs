//! What a scripted host does when a release comes to it.

use std::time::Duration;

use deploy_core::model::HostStatus;
use deploy_core::{Failure, FailureCode, Step};

/// What a scripted host does when a release comes to it.
///
/// ```
/// use deploy_core::{FailureCode, Step};
/// use deploy_testkit::HostScript;
/// use std::time::Duration;
///
/// let slow = HostScript::succeed().after(Duration::from_secs(5)).with_steps(Step::ALL);
/// let broken = HostScript::fail(FailureCode::HookFailed);
/// let stuck = HostScript::hang();
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HostScript {
    /// How long it takes, on the executor's clock.
    pub delay: Duration,
    /// The steps that it reports, each as started and finished.
    pub steps: Vec<Step>,
    /// Whether it waits until the test releases the host, or the task is cancelled.
    pub hangs: bool,
    /// How the host ends.
    pub status: HostStatus,
    /// Why, when it does not succeed.
    pub failure: Option<Failure>,
}

impl HostScript {
    /// Serves the release at once.
    #[must_use]
    pub fn succeed() -> Self {
        Self {
            delay: Duration::ZERO,
            steps: Vec::new(),
            hangs: false,
            status: HostStatus::Succeeded,
            failure: None,
        }
    }

    /// Fails at once.
    #[must_use]
    pub fn fail(code: FailureCode) -> Self {
        Self::end(HostStatus::Failed, Failure::new(code, "as the script says"))
    }

    /// Ends at once in a status, for a reason.
    #[must_use]
    pub fn end(status: HostStatus, failure: Failure) -> Self {
        Self { status, failure: Some(failure), ..Self::succeed() }
    }

    /// Serves the release once the test releases the host.
    #[must_use]
    pub fn hang() -> Self {
        Self { hangs: true, ..Self::succeed() }
    }

    /// Takes so long first.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Waits until the test releases the host first.
    #[must_use]
    pub fn hanging(mut self) -> Self {
        self.hangs = true;
        self
    }

    /// Reports steps.
    #[must_use]
    pub fn with_steps(mut self, steps: &[Step]) -> Self {
        self.steps = steps.to_vec();
        self
    }
}
