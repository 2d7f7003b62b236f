//! The model: what a deployment is made of. Parsed, not validated: an invalid value cannot exist.

mod action;
mod actor;
mod digest;
mod endpoint;
mod host_path;
mod monitor;
mod name;
mod outcome;
mod package;
mod release;
mod release_task;
mod request;
mod rollout;
mod schedule;
pub(crate) mod span;
mod target;
mod text;
mod timestamp;

pub use action::{
    FoundRelease, HostFound, ReleaseAction, ReleaseState, RollbackSpec, RollbackTarget,
};
pub use actor::Actor;
pub use digest::{Digests, Md5Digest, Md5Hasher, PackageDigests, Sha256Digest, Sha256Hasher};
pub use endpoint::Endpoint;
pub use host_path::HostPath;
pub use monitor::{JsonCheck, JsonScalar, Monitor, ProbedFrom, StatusRange};
pub use name::{
    AgentName, BusinessName, DeploymentId, HostAddress, HostName, ProjectName, ReleaseId, Tag,
    TaskId, ZoneName,
};
pub use outcome::{HostResult, HostStatus, Outcome, ReleaseReport};
pub use package::{PackageSource, PackageUrl};
pub use release::{Hook, HookPoint, Hooks, ReleaseSpec, SharedPath, UserName};
pub use release_task::{Fence, ReleaseTask};
pub use request::{DeploymentRequest, Requirement};
pub use rollout::{
    AfterBudget, BatchPause, BatchSize, Canary, CanaryHold, FailureBudget, FailureLimit, HostCount,
    HostOrder, Percentage, RolloutSpec, RunningHosts,
};
pub use schedule::OnMissed;
pub use target::Target;
pub use text::{Person, RequirementId, RequirementName, WorkOrder};
pub use timestamp::Timestamp;
