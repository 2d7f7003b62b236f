//! The program that runs on a host: our own fixed text, after assignments whose values are quoted.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use super::quote::{HasNul, assign, quote};
use crate::archive::{PackageContents, PackageFormat};
use crate::model::{Fence, Hook, HookPoint, ReleaseTask, SharedPath, Target, UserName};
use crate::verifier::VerifiedPackage;

/// The parts of the program, in the order in which they need each other.
const PARTS: [&str; 20] = [
    include_str!("script/protocol.sh"),
    include_str!("script/failure.sh"),
    include_str!("script/durable.sh"),
    ENDING,
    include_str!("script/process.sh"),
    include_str!("script/as_user.sh"),
    include_str!("script/hook.sh"),
    include_str!("script/bound.sh"),
    include_str!("script/follow.sh"),
    include_str!("script/mark.sh"),
    include_str!("script/lock.sh"),
    include_str!("script/look.sh"),
    include_str!("script/package.sh"),
    include_str!("script/kept.sh"),
    include_str!("script/share.sh"),
    include_str!("script/switch.sh"),
    include_str!("script/put_back.sh"),
    include_str!("script/prune.sh"),
    include_str!("script/history.sh"),
    include_str!("script/listen.sh"),
];
const MAIN: &str = include_str!("script/main.sh");
const ENDING: &str = include_str!("script/ending.sh");
const GUARD: &str = include_str!("script/guard.sh");
const AS_USER: &str = include_str!("script/user_program.sh");
const HOOK: &str = include_str!("script/hook_program.sh");

/// The longest program. Linux takes no argument of 128 KiB or more.
const LONGEST: usize = 120 * 1024;

/// How long a lock outlives the time that its holder may take: the grace that a session gives it to
/// stop, TERM and KILL, and a minute for clocks that differ.
const LOCK_MARGIN: Duration = Duration::from_secs(20 + 5 + 60);

/// What one release on one host is about.
#[derive(Debug)]
pub(crate) struct HostPlan<'a> {
    pub(crate) task: &'a ReleaseTask,
    pub(crate) target: &'a Target,
    pub(crate) package: &'a VerifiedPackage,
    pub(crate) contents: &'a PackageContents,
    /// The project's root as the shell on the host sees it.
    pub(crate) root: &'a str,
    /// Whether our own code unpacks the package in process.
    pub(crate) in_process: bool,
    pub(crate) fence: Fence,
    /// The name of this node, for whoever finds the host locked.
    pub(crate) node: &'a str,
    /// Free space that stays beyond what the release needs, in bytes.
    pub(crate) margin: u64,
    /// The name of this run: on the host, in the names of what it has not finished.
    pub(crate) run: &'a str,
    /// What proves that a marker is the program's own. It is in no file and no environment.
    pub(crate) nonce: &'a str,
}

/// Why there is no program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScriptError {
    /// A text holds a NUL.
    #[error(transparent)]
    HasNul(#[from] HasNul),
    /// The hooks and shared paths are too long together.
    #[error(
        "the hooks and shared paths are too long together: {0} bytes of program, of at most {LONGEST}"
    )]
    TooLong(usize),
}

impl HostPlan<'_> {
    /// The directory, in `releases`, into which the package is unpacked first.
    pub(crate) fn incoming(run: &str) -> String {
        format!("releases/.incoming-{run}")
    }

    /// Writes the program.
    pub(crate) fn script(&self) -> Result<String, ScriptError> {
        let mut script = String::with_capacity(32 * 1024);
        for (name, value) in self.variables() {
            assign(&mut script, name, &value)?;
        }
        for (name, value) in self.environment() {
            assign(&mut script, name, &value)?;
            let _ = writeln!(script, "export {name}");
        }
        self.lists(&mut script)?;
        PARTS.into_iter().for_each(|part| push_code(&mut script, part));
        push_code(&mut script, MAIN);
        if script.len() > LONGEST {
            return Err(ScriptError::TooLong(script.len()));
        }
        Ok(script)
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let task = self.task;
        let release = &task.release;
        let flag = |on: bool| if on { "yes" } else { "" }.to_owned();
        let has = |point| flag(!release.hooks.at(point).is_empty());
        let expiry = release.timeout.saturating_add(LOCK_MARGIN);
        vec![
            ("nonce", self.nonce.to_owned()),
            ("run", self.run.to_owned()),
            ("root", self.root.to_owned()),
            ("release", task.deployment.to_string()),
            ("deployment", task.deployment.to_string()),
            ("task", task.id.to_string()),
            ("fence", self.fence.to_string()),
            ("node", one_line(self.node)),
            ("reason", self.reason()),
            ("lock_seconds", seconds(expiry).to_string()),
            ("mode", if self.in_process { "placed" } else { "stream" }.to_owned()),
            ("format", format_name(self.contents.format).to_owned()),
            ("file_name", self.package.file_name.clone()),
            ("md5", self.package.digests.md5.to_string()),
            ("sha256", self.package.digests.sha256.to_string()),
            ("size", self.package.digests.size.to_string()),
            ("needed_kib", self.needed_kib().to_string()),
            ("keep", release.keep.to_string()),
            ("keep_packages", release.keep_packages.to_string()),
            ("rollback", if release.rollback { "yes" } else { "no" }.to_owned()),
            ("monitor", if task.monitor.is_some() { "yes" } else { "no" }.to_owned()),
            ("has_shared", flag(!release.shared.is_empty())),
            ("has_before_switch", has(HookPoint::BeforeSwitch)),
            ("has_after_switch", has(HookPoint::AfterSwitch)),
            ("has_on_failure", has(HookPoint::OnFailure)),
            ("history_head", self.history_head()),
            ("hook_users", self.hook_users()),
            ("facts", self.environment().map(|(name, _)| name).join(" ")),
            ("guard_program", code(ENDING) + &code(GUARD)),
            ("user_program", code(AS_USER)),
            ("hook_program", code(HOOK)),
        ]
    }

    /// What hooks learn about the deployment.
    fn environment(&self) -> [(&'static str, String); 14] {
        let task = self.task;
        let digests = &self.package.digests;
        let requirement = task.requirement.as_ref();
        let name = requirement.and_then(|r| r.name.as_ref());
        let monitor = task.monitor.as_ref();
        let monitor = monitor.and_then(|m| m.url_for(&self.target.host, &self.target.address).ok());
        let or_empty = |text: Option<String>| text.unwrap_or_default();
        [
            ("DEPLOY_ID", task.deployment.to_string()),
            ("DEPLOY_TASK", task.id.to_string()),
            ("DEPLOY_BUSINESS", task.business.to_string()),
            ("DEPLOY_PROJECT", task.project.to_string()),
            ("DEPLOY_WORK_ORDER", or_empty(task.work_order.as_ref().map(ToString::to_string))),
            ("DEPLOY_REQUIREMENT_ID", or_empty(requirement.map(|r| r.id.to_string()))),
            ("DEPLOY_REQUIREMENT_NAME", or_empty(name.map(ToString::to_string))),
            ("DEPLOY_HOST", self.target.host.to_string()),
            ("DEPLOY_HOST_ADDRESS", self.target.address.to_string()),
            ("DEPLOY_ROOT", self.root.to_owned()),
            ("DEPLOY_PACKAGE_URL", self.package_address()),
            ("DEPLOY_PACKAGE_MD5", digests.md5.to_string()),
            ("DEPLOY_PACKAGE_SHA256", digests.sha256.to_string()),
            ("DEPLOY_MONITOR_URL", or_empty(monitor.map(|url| url.to_string()))),
        ]
    }

    /// The users that hooks run as, each once.
    fn hook_users(&self) -> String {
        let hooks = &self.task.release.hooks;
        let users = hooks.all().filter_map(|hook| hook.user.as_ref()).map(UserName::as_str);
        users.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
    }

    /// The functions that call what the task lists: hooks and shared paths.
    fn lists(&self, script: &mut String) -> Result<(), HasNul> {
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

    /// The package's address without its query, which may hold a token.
    fn package_address(&self) -> String {
        let mut url = self.task.package.url.url().clone();
        url.set_query(None);
        url.set_fragment(None);
        url.to_string()
    }

    /// Why the host is locked, for whoever finds it so.
    fn reason(&self) -> String {
        let mut reason = format!("{}/{}", self.task.business, self.task.project);
        if let Some(order) = &self.task.work_order {
            let _ = write!(reason, ", work order {order}");
        }
        if let Some(requirement) = &self.task.requirement {
            let _ = write!(reason, ", requirement {}", requirement.id);
        }
        reason
    }

    /// The first part of the line of history, without its braces.
    fn history_head(&self) -> String {
        let task = self.task;
        let line = serde_json::json!({
            "deployment": task.deployment,
            "task": task.id,
            "release": task.deployment,
            "business": task.business,
            "project": task.project,
            "work_order": task.work_order,
            "requirement": task.requirement,
            "host": self.target.host,
            "node": self.node,
            "url": self.package_address(),
            "md5": self.package.digests.md5,
            "sha256": self.package.digests.sha256,
        });
        let line = line.to_string();
        line.trim_start_matches('{').trim_end_matches('}').to_owned()
    }

    /// What must be free on the host: each file and directory takes up to a block more than its
    /// bytes, and a package that is sent lies beside what is unpacked from it.
    fn needed_kib(&self) -> u64 {
        let package = if self.in_process { 0 } else { self.package.digests.size };
        let blocks = self.contents.entries.saturating_mul(4096);
        let bytes = [self.contents.unpacked_bytes, package, self.margin];
        bytes.into_iter().fold(blocks, u64::saturating_add).div_ceil(1024)
    }
}

/// The way from a shared path's directory in a release, `releases/<id>/…`, to the root.
fn up_from(path: &SharedPath) -> String {
    "../".repeat(2 + path.as_str().matches('/').count())
}

fn seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn format_name(format: PackageFormat) -> &'static str {
    match format {
        PackageFormat::TarGz => "tar.gz",
        PackageFormat::TarZst => "tar.zst",
        PackageFormat::TarXz => "tar.xz",
        PackageFormat::Tar => "tar",
        PackageFormat::Zip => "zip",
        PackageFormat::SingleFile => "single",
    }
}

/// A part of the program without comments and indentation: what is sent to each host stays small.
fn code(part: &str) -> String {
    let mut code = String::new();
    push_code(&mut code, part);
    code
}

fn push_code(script: &mut String, part: &str) {
    for line in part.lines().map(str::trim_start) {
        if !line.is_empty() && !line.starts_with('#') {
            script.push_str(line);
            script.push('\n');
        }
    }
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
