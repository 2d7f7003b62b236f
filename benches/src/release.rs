//! The release that the benches have done: two hooks, three releases kept.

use deploy_core::model::{
    DeploymentId, DeploymentRequest, Fence, Hook, HookPoint, ReleaseSpec, ReleaseTask, Target,
    TaskId,
};

use crate::package::Package;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// A task that releases a package on hosts, the `number`th one.
///
/// # Errors
///
/// When a name is none.
pub fn task(package: &Package, hosts: Vec<Target>, number: u64) -> Result<ReleaseTask, AnyError> {
    let id = DeploymentId::new(format!("r{number}"))?;
    let source = package.source()?;
    let spec = ReleaseSpec::default()
        .with_keep(3)
        .with_hook(HookPoint::BeforeSwitch, Hook::new("echo before > before")?)
        .with_hook(HookPoint::AfterSwitch, Hook::new("echo after > after")?);
    let request =
        DeploymentRequest::new("b".parse()?, "p".parse()?, source.clone()).with_release(spec);
    Ok(ReleaseTask::new(TaskId::from(&id), id, &request, source, hosts, Fence::new(number)))
}
