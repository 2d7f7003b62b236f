//! What a plan says of each host, and of the commands that would run there.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::model::{
    DeploymentRequest, FoundRelease, Hook, HookPoint, HostFound, PackageDigests, ReleaseId,
    ReleaseState, RollbackTarget, Target,
};

/// A host of a plan: how it is reached, what is there, what would change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PlannedHost {
    /// The host, and its agent or how else it is reached.
    pub target: Target,
    /// What is there; none where that could not be found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<HostFound>,
    /// Why it could not be found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What would change, where it is known what is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<PlannedChange>,
}

/// What would change on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PlannedChange {
    /// The release that it serves, where it serves one of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ReleaseId>,
    /// The release that it would serve; none where it has none to go back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<ReleaseId>,
    /// Whether what it serves was made of the same package.
    pub same_package: bool,
}

/// A command that would run on each host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PlannedHook {
    /// When.
    pub point: HookPoint,
    /// What, as whom, and for how long at most.
    pub hook: Hook,
}

impl PlannedHost {
    /// Says what a request would change on a host on which this was found, or why nothing was.
    pub(crate) fn new(
        target: Target,
        found: Result<HostFound, Failure>,
        request: &DeploymentRequest,
        package: Option<&PackageDigests>,
    ) -> Self {
        match found {
            Ok(found) => {
                let change = Some(change(&found, request, package));
                Self { target, found: Some(found), failure: None, change }
            }
            Err(failure) => Self { target, found: None, failure: Some(failure), change: None },
        }
    }
}

fn change(
    found: &HostFound,
    request: &DeploymentRequest,
    package: Option<&PackageDigests>,
) -> PlannedChange {
    let from = found.current.clone();
    let served = found.releases.iter().find(|release| Some(&release.release) == from.as_ref());
    let sha256 = served.and_then(|served| served.sha256);
    let same_package = sha256.is_some() && sha256 == package.map(|package| package.sha256);
    let to = match &request.rollback {
        None => request.id.as_ref().map(ReleaseId::from),
        Some(spec) => {
            let undone = ReleaseId::from(&spec.of);
            match &from {
                Some(current) if *current == undone => back(found, &undone, &spec.to),
                current => current.clone(),
            }
        }
    };
    PlannedChange { from, to, same_package }
}

/// What a host goes back to from a release: by the same rule as on the host.
fn back(found: &HostFound, undone: &ReleaseId, to: &RollbackTarget) -> Option<ReleaseId> {
    let whole =
        |known: &&FoundRelease| matches!(known.state, ReleaseState::Complete | ReleaseState::Good);
    let named = |name: &ReleaseId| found.releases.iter().find(|known| known.release == *name);
    let target = match to {
        RollbackTarget::LastGood => {
            // What is not in the list counts as the newest.
            let place = found.releases.iter().position(|known| known.release == *undone);
            let before = &found.releases[place.map_or(0, |place| place + 1)..];
            before.iter().find(|known| known.state == ReleaseState::Good)
        }
        RollbackTarget::Previous => {
            named(undone).and_then(|known| known.previous.as_ref()).and_then(named).filter(whole)
        }
        RollbackTarget::Release(name) => named(name).filter(whole),
    };
    target.map(|known| known.release.clone())
}

/// The commands that a request runs on each host, in order: those of the way back where it goes back.
pub(crate) fn hooks(request: &DeploymentRequest) -> Vec<PlannedHook> {
    let points: &[HookPoint] = match request.rollback {
        Some(_) => &[HookPoint::AfterSwitch],
        None => &[HookPoint::BeforeSwitch, HookPoint::AfterSwitch],
    };
    let at = |point: &HookPoint| {
        let hooks = request.release.hooks.at(*point).to_vec();
        hooks.into_iter().map(|hook| PlannedHook { point: *point, hook }).collect::<Vec<_>>()
    };
    points.iter().flat_map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(name: &str, state: ReleaseState, previous: Option<&str>) -> FoundRelease {
        let id = |name: &str| ReleaseId::new(name).unwrap();
        let mut found = FoundRelease::new(id(name), state);
        found.previous = previous.map(id);
        found
    }

    #[test]
    fn what_a_host_goes_back_to_is_older_whole_and_as_good_as_was_asked_for() {
        let found = HostFound {
            releases: vec![
                release("d5", ReleaseState::Good, None),
                release("d4", ReleaseState::Good, Some("d3")),
                release("d3", ReleaseState::Complete, Some("d2")),
                release("d2", ReleaseState::Failed, Some("d1")),
                release("d1", ReleaseState::Good, None),
                release("d0", ReleaseState::Good, None),
            ],
            ..HostFound::default()
        };
        let id = |name: &str| ReleaseId::new(name).unwrap();
        let back = |from: &str, to: &RollbackTarget| {
            back(&found, &id(from), to).map(|release| release.to_string())
        };
        assert_eq!(back("d4", &RollbackTarget::LastGood).as_deref(), Some("d1"));
        assert_eq!(back("d4", &RollbackTarget::Previous).as_deref(), Some("d3"));
        assert_eq!(back("d0", &RollbackTarget::LastGood), None);
        assert_eq!(back("d9", &RollbackTarget::LastGood).as_deref(), Some("d5"));
        assert_eq!(back("d3", &RollbackTarget::Previous), None, "it has failed");
        let named = |name| RollbackTarget::Release(id(name));
        assert_eq!(back("d4", &named("d0")).as_deref(), Some("d0"));
        assert_eq!(back("d4", &named("d2")), None);
        assert_eq!(back("d4", &named("d9")), None);
    }
}
