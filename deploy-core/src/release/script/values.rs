//! What the program is told about its task: its variables, and the environment of hooks.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

use super::{AS_USER, HostPlan, SHARED, WATCH, Work, code};
use crate::archive::PackageFormat;
use crate::model::{
    HookPoint, Md5Digest, ProbedFrom, ReleaseId, RollbackTarget, Sha256Digest, UserName,
};
use crate::release::job::Bundle;

/// How long a lock outlives the time that its holder may take: the grace that a session gives it to
/// stop, TERM and KILL, and a minute for clocks that differ.
const LOCK_MARGIN: Duration = Duration::from_secs(20 + 5 + 60);

/// Variables of the program, by their names.
type Variables = Vec<(&'static str, String)>;

impl HostPlan<'_> {
    /// What every program is told.
    pub(super) fn common(&self) -> Variables {
        vec![
            ("nonce", self.nonce.to_owned()),
            ("root", self.root.to_owned()),
            ("task", self.task.id.to_string()),
            ("fence", self.fence.to_string()),
        ]
    }

    /// What every program is told that changes something.
    pub(super) fn of_changes(&self) -> Variables {
        let task = self.task;
        let release = &task.release;
        let has = |point| flag(!release.hooks.at(point).is_empty());
        let expiry = release.timeout.saturating_add(LOCK_MARGIN);
        vec![
            ("run", self.run.to_owned()),
            ("deployment", task.deployment.to_string()),
            ("node", one_line(self.node)),
            ("reason", self.reason()),
            ("lock_seconds", seconds(expiry).to_string()),
            ("lock_wait", seconds(release.lock_wait).to_string()),
            ("monitor", if task.monitor.is_some() { "yes" } else { "no" }.to_owned()),
            ("ask_scheme", self.ask_scheme()),
            ("has_before_switch", has(HookPoint::BeforeSwitch)),
            ("has_after_switch", has(HookPoint::AfterSwitch)),
            ("has_on_failure", has(HookPoint::OnFailure)),
            ("history_head", self.history_head()),
            ("hook_users", self.hook_users()),
            ("facts", self.environment().map(|(name, _)| name).join(" ")),
            ("common_program", SHARED.map(code).concat()),
            ("watch_program", code(WATCH)),
            ("user_program", code(AS_USER)),
        ]
    }

    /// What an installation is told.
    pub(super) fn of_install(
        &self,
        bundle: &Bundle,
        in_process: bool,
        token: &str,
        margin: u64,
    ) -> Variables {
        let release = &self.task.release;
        let confirm = release.confirm.map(|within| seconds(within).to_string());
        let digests = &bundle.package.digests;
        vec![
            ("release", self.task.deployment.to_string()),
            ("mode", if in_process { "placed" } else { "stream" }.to_owned()),
            ("format", format_name(bundle.contents.format).to_owned()),
            ("file_name", bundle.package.file_name.clone()),
            ("md5", digests.md5.to_string()),
            ("sha256", digests.sha256.to_string()),
            ("size", digests.size.to_string()),
            ("plain_modes", flag(bundle.contents.plain_modes)),
            ("needed_kib", needed_kib(bundle, in_process, margin).to_string()),
            ("keep", release.keep.to_string()),
            ("keep_packages", release.keep_packages.to_string()),
            ("rollback", if release.rollback { "yes" } else { "no" }.to_owned()),
            ("confirm_seconds", confirm.unwrap_or_default()),
            ("confirm_token", token.to_owned()),
            ("has_shared", flag(!release.shared.is_empty())),
        ]
    }

    /// What a rollback is told.
    pub(super) fn of_rollback(release: &ReleaseId, to: &RollbackTarget) -> Variables {
        vec![("release", release.to_string()), ("to", word_of(to))]
    }

    /// What hooks learn about the deployment.
    pub(super) fn environment(&self) -> [(&'static str, String); 14] {
        let task = self.task;
        let (md5, sha256) = self.digests();
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
            ("DEPLOY_PACKAGE_MD5", md5.to_string()),
            ("DEPLOY_PACKAGE_SHA256", or_empty(sha256.map(|sha256| sha256.to_string()))),
            ("DEPLOY_MONITOR_URL", or_empty(monitor.map(|url| url.to_string()))),
        ]
    }

    /// How the host asks its monitoring address; nothing where it does not.
    fn ask_scheme(&self) -> String {
        let monitor = self.task.monitor.as_ref();
        let asked = monitor.filter(|monitor| monitor.from == ProbedFrom::Host);
        asked.map_or("", |monitor| if monitor.is_tcp() { "tcp" } else { "http" }).to_owned()
    }

    /// The users that hooks run as, each once.
    fn hook_users(&self) -> String {
        let hooks = &self.task.release.hooks;
        let users = hooks.all().filter_map(|hook| hook.user.as_ref()).map(UserName::as_str);
        users.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
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

    /// The digests of the package that the task is about: those that were found, where it was fetched.
    fn digests(&self) -> (Md5Digest, Option<Sha256Digest>) {
        match self.work {
            Work::Install { bundle, .. } => {
                let digests = &bundle.package.digests;
                (digests.md5, Some(digests.sha256))
            }
            Work::Rollback { .. } | Work::Inspect => {
                (self.task.package.md5, self.task.package.sha256)
            }
        }
    }

    /// The first part of the line of history, without its braces.
    fn history_head(&self) -> String {
        let task = self.task;
        let mut line = json!({
            "deployment": task.deployment,
            "task": task.id,
            "release": task.deployment,
            "business": task.business,
            "project": task.project,
            "work_order": task.work_order,
            "requirement": task.requirement,
            "host": self.target.host,
            "node": self.node,
        });
        match self.work {
            Work::Rollback { release, to } => {
                line["action"] = json!("rollback");
                line["release"] = json!(release);
                line["to"] = json!(to);
            }
            Work::Install { .. } | Work::Inspect => {
                let (md5, sha256) = self.digests();
                line["url"] = json!(self.package_address());
                line["md5"] = json!(md5);
                line["sha256"] = json!(sha256);
            }
        }
        let line = line.to_string();
        let inside = line.strip_prefix('{').and_then(|line| line.strip_suffix('}'));
        inside.unwrap_or_default().to_owned()
    }
}

/// What must be free on the host: each file and directory takes up to a block more than its bytes, and
/// a package that is sent lies beside what is unpacked from it.
fn needed_kib(bundle: &Bundle, in_process: bool, margin: u64) -> u64 {
    let package = if in_process { 0 } else { bundle.package.digests.size };
    let blocks = bundle.contents.entries.saturating_mul(4096);
    let bytes = [bundle.contents.unpacked_bytes, package, margin];
    bytes.into_iter().fold(blocks, u64::saturating_add).div_ceil(1024)
}

/// What a host goes back to, as a word of the program. An id is plain.
fn word_of(to: &RollbackTarget) -> String {
    match to {
        RollbackTarget::LastGood => "last_good".to_owned(),
        RollbackTarget::Previous => "previous".to_owned(),
        RollbackTarget::Release(release) => format!("release:{release}"),
    }
}

fn flag(on: bool) -> String {
    if on { "yes" } else { "" }.to_owned()
}

pub(super) fn seconds(span: Duration) -> u64 {
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
