//! Valid values of the model, for tests that do not care which.

use deploy_core::model::{
    BusinessName, DeploymentId, DeploymentRequest, Endpoint, HostAddress, HostName, HostPath,
    Outcome, PackageSource, PackageUrl, ProjectName, Target, TaskId, Timestamp,
};
use deploy_core::{Event, Fact, Sequence};

/// What every valid sample is made by.
const VALID: &str = "the samples of deploy-testkit are valid";

/// The host `host-<number>`.
///
/// # Panics
///
/// Never: the name is valid. The same holds for all that follow.
#[must_use]
pub fn host(number: usize) -> HostName {
    HostName::new(format!("host-{number}")).expect(VALID)
}

/// The host `host-<number>` at an address of 10.0.0.0/8, reached by an endpoint of the scheme
/// `test`.
#[must_use]
pub fn target(number: usize) -> Target {
    let [.., a, b, c] = number.to_be_bytes();
    let address = HostAddress::new(format!("10.{a}.{b}.{c}")).expect(VALID);
    let endpoint = Endpoint::new(&format!("test://host-{number}")).expect(VALID);
    Target::new(host(number), address, endpoint, HostPath::new("/srv/checkout").expect(VALID))
}

/// So many hosts, from `host-1` on.
#[must_use]
pub fn fleet(hosts: usize) -> Vec<Target> {
    (1..=hosts).map(target).collect()
}

/// A task id.
#[must_use]
pub fn task_id(text: &str) -> TaskId {
    TaskId::new(text).expect(VALID)
}

/// The business `shop`.
#[must_use]
pub fn business() -> BusinessName {
    BusinessName::new("shop").expect(VALID)
}

/// A project.
#[must_use]
pub fn project(name: &str) -> ProjectName {
    ProjectName::new(name).expect(VALID)
}

/// The package of a request, named by the MD5 of `bytes`.
#[must_use]
pub fn package(bytes: &[u8]) -> PackageSource {
    let url = PackageUrl::new("https://packages.test/checkout-1.4.2.tar.gz").expect(VALID);
    PackageSource::new(url, deploy_core::model::Md5Digest::of(bytes))
}

/// A request to deploy a package of the project `checkout` of the business `shop`.
#[must_use]
pub fn request(package: PackageSource) -> DeploymentRequest {
    DeploymentRequest::new(business(), project("checkout"), package)
}

/// The first event of a task: its acceptance.
#[must_use]
pub fn accepted(task: &TaskId, at: Timestamp, request: DeploymentRequest) -> Event {
    let deployment = DeploymentId::try_from(task).expect(VALID);
    let request = Box::new(request);
    Event::new(task.clone(), Sequence::new(1), at, Fact::Accepted { deployment, request })
}

/// An event in the middle of a task.
#[must_use]
pub fn progress(task: &TaskId, sequence: u64, at: Timestamp) -> Event {
    let host = host(usize::try_from(sequence).unwrap_or(usize::MAX));
    Event::new(task.clone(), Sequence::new(sequence), at, Fact::HostStarted { host })
}

/// The last event of a task.
#[must_use]
pub fn finished(task: &TaskId, sequence: u64, at: Timestamp, outcome: Outcome) -> Event {
    let fact = Fact::Finished { outcome, failure: None };
    Event::new(task.clone(), Sequence::new(sequence), at, fact)
}
