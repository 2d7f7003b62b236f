//! The functions of the program that call what the task lists: hooks and shared paths.

use std::fmt::Write as _;

use super::HostPlan;
use super::values::seconds;
use crate::model::{Hook, HookPoint, SharedPath, UserName};
use crate::release::quote::{HasNul, quote};

impl HostPlan<'_> {
    /// The functions that call what the task lists: hooks and shared paths.
    pub(super) fn lists(&self, script: &mut String) -> Result<(), HasNul> {
        let hooks = &self.task.release.hooks;
        for point in [HookPoint::BeforeSwitch, HookPoint::AfterSwitch, HookPoint::OnFailure] {
            let _ = writeln!(script, "{point}_hooks() {{");
            for (index, hook) in hooks.at(point).iter().enumerate() {
                let Hook { run, timeout, user } = hook;
                let (run, timeout) = (quote(run)?, seconds(*timeout));
                let user = user.as_ref().map_or("", UserName::as_str);
                let _ = writeln!(script, "hook {} {timeout} {run} {user} || return", index + 1);
            }
            script.push_str("true\n}\n");
        }
        script.push_str("shared_paths() {\n");
        for path in &self.task.release.shared {
            let (quoted, up) = (quote(path.as_str())?, up_from(path));
            let _ = writeln!(script, "share {quoted} {up}");
        }
        script.push_str("true\n}\n");
        Ok(())
    }
}

/// The way from a shared path's directory in a release, `releases/<id>/…`, to the root.
fn up_from(path: &SharedPath) -> String {
    "../".repeat(2 + path.as_str().matches('/').count())
}
