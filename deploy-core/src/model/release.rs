//! How a release is laid out and brought to life on a host.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::name::text_type;
use super::span;
use crate::document::{Decode, Invalid, Node, Value, decode_text, deserialize_by_decode};

use std::fmt;
use std::str::FromStr;

/// How a release is laid out and brought to life on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReleaseSpec {
    /// How many good releases stay on the host, the current one included: 5 by default. The current
    /// one and the one before it stay in any case.
    pub keep: u32,
    /// How many packages stay on a host that they are sent to, those of its newest good releases: 2 by
    /// default, because going back and forth between two releases then moves no bytes, and each
    /// takes the package's size on the host's disk. They make room when a release needs it. 0 keeps
    /// none. Where our own code unpacks on the host, nothing is sent and nothing is kept.
    ///
    /// Left out of what is sent when it is the default, so that older agents understand it.
    #[serde(skip_serializing_if = "is_default_keep_packages")]
    pub keep_packages: u32,
    /// Paths that all releases of the project share, linked into each one.
    pub shared: Vec<SharedPath>,
    /// What runs on the host, and when.
    pub hooks: Hooks,
    /// Whether a host whose release fails after the switch goes back to the one before: yes by
    /// default, because a host that serves a broken release helps nobody.
    pub rollback: bool,
    /// How long a host that is switched waits for a confirmation over a new connection, before it goes back
    /// by itself: not at all by default. For releases that may cut their own host off. It needs
    /// `rollback`, and is from 5 s to 10 minutes and less than `timeout`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serialize_confirm")]
    pub confirm: Option<Duration>,
    /// How long a host is waited for that another deployment holds, within `timeout`: not at all by
    /// default, so that what two control nodes do at once is seen.
    ///
    /// Left out of what is sent when it is the default, so that older agents understand it.
    #[serde(skip_serializing_if = "Duration::is_zero", serialize_with = "span::serialize")]
    pub lock_wait: Duration,
    /// How long one host may take in all: 30 minutes by default, because a release that takes longer
    /// is stuck more often than slow.
    #[serde(serialize_with = "span::serialize")]
    pub timeout: Duration,
}

const KEEP_PACKAGES: u32 = 2;

/// Long enough for a connection over a slow line; and short enough that a task which is taken up again
/// finds the host back where it was.
const CONFIRM: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(600);

#[allow(clippy::ref_option, reason = "serde asks for a reference")]
fn serialize_confirm<S: Serializer>(confirm: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    match confirm {
        Some(confirm) => span::serialize(confirm, to),
        None => to.serialize_none(),
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_default_keep_packages(keep: &u32) -> bool {
    *keep == KEEP_PACKAGES
}

impl Default for ReleaseSpec {
    fn default() -> Self {
        Self {
            keep: 5,
            keep_packages: KEEP_PACKAGES,
            shared: Vec::new(),
            hooks: Hooks::default(),
            rollback: true,
            confirm: None,
            lock_wait: Duration::ZERO,
            timeout: Duration::from_secs(30 * 60),
        }
    }
}

impl ReleaseSpec {
    /// Sets how many good releases stay on the host: 1 to 1,000.
    #[must_use]
    pub fn with_keep(mut self, keep: u32) -> Self {
        self.keep = keep;
        self
    }

    /// Sets how many packages stay on a host that they are sent to: 0 to 1,000.
    #[must_use]
    pub fn with_keep_packages(mut self, keep: u32) -> Self {
        self.keep_packages = keep;
        self
    }

    /// Sets the paths that all releases share.
    #[must_use]
    pub fn with_shared(mut self, shared: Vec<SharedPath>) -> Self {
        self.shared = shared;
        self
    }

    /// Adds a hook.
    #[must_use]
    pub fn with_hook(mut self, point: HookPoint, hook: Hook) -> Self {
        match point {
            HookPoint::BeforeSwitch => self.hooks.before_switch.push(hook),
            HookPoint::AfterSwitch => self.hooks.after_switch.push(hook),
            HookPoint::OnFailure => self.hooks.on_failure.push(hook),
        }
        self
    }

    /// Leaves a host with the new release when that fails after the switch.
    #[must_use]
    pub fn without_rollback(mut self) -> Self {
        self.rollback = false;
        self
    }

    /// Has each host go back by itself when no confirmation comes over a new connection within a time, from
    /// 5 s to 10 minutes.
    #[must_use]
    pub fn with_confirm(mut self, within: Duration) -> Self {
        self.confirm = Some(within);
        self
    }

    /// Sets how long a host is waited for that another deployment holds.
    #[must_use]
    pub fn with_lock_wait(mut self, wait: Duration) -> Self {
        self.lock_wait = wait;
        self
    }

    /// Sets how long one host may take in all.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl Decode for ReleaseSpec {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let default = Self::default();
        let mut table = node.table()?;
        let keep = table.or("keep", default.keep);
        let keep_packages = table.or("keep_packages", default.keep_packages);
        let shared = table.or("shared", default.shared);
        let hooks = table.or("hooks", default.hooks);
        let rollback = table.or("rollback", default.rollback);
        let confirm = table.optional("confirm");
        let lock_wait = table.or("lock_wait", default.lock_wait);
        let timeout = table.or("timeout", default.timeout);
        if let (Some(wait), Some(timeout)) = (lock_wait, timeout)
            && !timeout.is_zero()
            && wait >= timeout
        {
            table.fault("lock_wait", span::format(wait), "less than the timeout");
        }
        if let Some(Some(confirm)) = confirm {
            let found = span::format(confirm);
            if rollback == Some(false) {
                table.fault("confirm", found, "nothing: with rollback off a host does not go back");
            } else if !CONFIRM.contains(&confirm) {
                table.fault("confirm", found, "from \"5s\" to \"10m\"");
            } else if timeout.is_some_and(|timeout| confirm >= timeout) {
                table.fault("confirm", found, "less than the timeout");
            }
        }
        if let Some(keep) = keep
            && !(1..=1000).contains(&keep)
        {
            table.fault("keep", format!("the number {keep}"), "a number from 1 to 1000");
        }
        if let Some(keep) = keep_packages
            && keep > 1000
        {
            table.fault("keep_packages", format!("the number {keep}"), "a number from 0 to 1000");
        }
        if timeout == Some(Duration::ZERO) {
            table.fault("timeout", "no time at all", "more than \"0s\"");
        }
        if let Some(shared) = &shared {
            for (index, path) in shared.iter().enumerate() {
                let inside = |other: &&SharedPath| path.is_inside(other);
                if let Some(other) = shared[..index].iter().find(|o| inside(o) || o.is_inside(path))
                {
                    let found = format!("{path:?}, which overlaps {other:?}");
                    table.fault("shared", found, "paths of which none lies in another");
                }
            }
        }
        table.finish();
        Some(Self {
            keep: keep?,
            keep_packages: keep_packages?,
            shared: shared?,
            hooks: hooks?,
            rollback: rollback?,
            confirm: confirm?,
            lock_wait: lock_wait?,
            timeout: timeout?,
        })
    }
}

text_type!(
    /// A path relative to the release, which all releases share.
    SharedPath,
    check_shared
);

fn check_shared(text: &str) -> Result<(), Invalid> {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    let safe = text.len() <= 512 && !text.chars().any(char::is_control) && !text.starts_with('-');
    if safe && text.split('/').all(plain) {
        return Ok(());
    }
    Err(Invalid::new(text, "a relative path such as \"log\", without '.', '..' or an empty part"))
}

impl SharedPath {
    fn is_inside(&self, other: &Self) -> bool {
        let rest = self.as_str().strip_prefix(other.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

text_type!(
    /// The name of a user of a host: `[a-z_][a-z0-9_-]{0,31}`, as `useradd` takes them.
    UserName,
    check_user
);

fn check_user(text: &str) -> Result<(), Invalid> {
    let head = |c: u8| c.is_ascii_lowercase() || c == b'_';
    let bytes = text.as_bytes();
    let plain = bytes.iter().all(|&c| head(c) || c.is_ascii_digit() || c == b'-');
    if bytes.first().is_some_and(|&c| head(c)) && bytes.len() <= 32 && plain {
        return Ok(());
    }
    let allowed = "1 to 32 of the characters a-z, 0-9, '_' and '-', the first a letter or '_'";
    Err(Invalid::new(text, allowed))
}

/// When a hook runs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HookPoint {
    /// In the new release, before `current` points to it.
    BeforeSwitch,
    /// In the new release, after `current` points to it.
    AfterSwitch,
    /// In whatever release is current in the end, after the release failed. Its own failure is
    /// recorded beside the first one and never hides it.
    OnFailure,
}

impl HookPoint {
    /// The name of the point, as documents have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeSwitch => "before_switch",
            Self::AfterSwitch => "after_switch",
            Self::OnFailure => "on_failure",
        }
    }
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What runs on a host, and when; the hooks of one point run in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Hooks {
    /// In the new release, before the switch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before_switch: Vec<Hook>,
    /// In the new release, after the switch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after_switch: Vec<Hook>,
    /// After a failure.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_failure: Vec<Hook>,
}

impl Hooks {
    /// The hooks of one point.
    #[must_use]
    pub fn at(&self, point: HookPoint) -> &[Hook] {
        match point {
            HookPoint::BeforeSwitch => &self.before_switch,
            HookPoint::AfterSwitch => &self.after_switch,
            HookPoint::OnFailure => &self.on_failure,
        }
    }

    /// All hooks, in the order of their points.
    #[cfg(feature = "release")]
    pub(crate) fn all(&self) -> impl Iterator<Item = &Hook> {
        self.before_switch.iter().chain(&self.after_switch).chain(&self.on_failure)
    }
}

impl Decode for Hooks {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let before_switch = one_or_more(table.node("before_switch"));
        let after_switch = one_or_more(table.node("after_switch"));
        let on_failure = one_or_more(table.node("on_failure"));
        table.finish();
        Some(Self {
            before_switch: before_switch?,
            after_switch: after_switch?,
            on_failure: on_failure?,
        })
    }
}

/// Hooks are written as a list, or as one alone.
fn one_or_more(node: Option<Node<'_>>) -> Option<Vec<Hook>> {
    match node {
        None => Some(Vec::new()),
        Some(node) if matches!(node.value(), Value::List(_)) => Vec::decode(&node),
        Some(node) => Hook::decode(&node).map(|hook| vec![hook]),
    }
}

/// A command that runs on the host, in the release's directory, by `/bin/sh -c`.
///
/// The command is the author's own shell text. Facts of the deployment reach it only as environment
/// variables (`DEPLOY_ID`, `DEPLOY_PROJECT`, …), never as part of the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Hook {
    /// The shell command.
    pub run: String,
    /// How long it may run: 10 minutes by default. Then it gets TERM, 5 s later KILL, both sent to
    /// its whole process group.
    #[serde(serialize_with = "span::serialize")]
    pub timeout: Duration,
    /// The user of the host that it runs as: by default the one that the host is reached as.
    ///
    /// `sudo -n` makes it that user, with a rule in sudoers that lets us run `sh` as it; on a host that has
    /// no sudo, root does it by `su`. Before anything is done there, the host is asked whether this works.
    /// What the hook gets of its environment beside `DEPLOY_…` is up to sudo; `HOME` is the user's.
    ///
    /// Left out of what is sent when there is none. An agent that is too old to know it refuses the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
}

impl Hook {
    /// Takes a shell command of 1 to 16,384 bytes without NUL, with the default timeout.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it is empty, too long or holds a NUL.
    pub fn new(run: impl Into<String>) -> Result<Self, Invalid> {
        let run = run.into();
        if run.trim().is_empty() || run.len() > 16_384 || run.contains('\0') {
            return Err(Invalid::new(&run, "a shell command of 1 to 16384 bytes without NUL"));
        }
        Ok(Self { run, timeout: Duration::from_secs(600), user: None })
    }

    /// Sets how long it may run.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the user of the host that it runs as.
    #[must_use]
    pub fn with_user(mut self, user: UserName) -> Self {
        self.user = Some(user);
        self
    }
}

impl FromStr for Hook {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl Decode for Hook {
    fn decode(node: &Node<'_>) -> Option<Self> {
        if matches!(node.value(), Value::Text(_)) {
            return decode_text(node);
        }
        let mut table = node.table()?;
        let run = table.node("run");
        if run.is_none() {
            table.fault("run", "nothing", "a shell command: it is required");
        }
        let timeout = table.optional("timeout");
        if timeout == Some(Some(Duration::ZERO)) {
            table.fault("timeout", "no time at all", "more than \"0s\"");
        }
        let user = table.optional("user");
        table.finish();
        let hook: Self = decode_text(&run?)?;
        let hook = Self { user: user?, ..hook };
        Some(match timeout? {
            Some(timeout) => hook.with_timeout(timeout),
            None => hook,
        })
    }
}

deserialize_by_decode!(ReleaseSpec, Hooks, Hook);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confirmation_is_written_as_it_is_read_and_left_out_when_there_is_none() {
        let spec = ReleaseSpec::default().with_confirm(Duration::from_secs(30));
        let text = serde_json::to_string(&spec).unwrap();
        assert!(text.contains(r#""confirm":"30s""#), "{text}");
        assert_eq!(serde_json::from_str::<ReleaseSpec>(&text).unwrap(), spec);
        assert!(!serde_json::to_string(&ReleaseSpec::default()).unwrap().contains("confirm"));
    }

    #[test]
    fn a_wait_for_a_lock_is_shorter_than_the_timeout() {
        let spec = ReleaseSpec::default().with_lock_wait(Duration::from_secs(900));
        let text = serde_json::to_string(&spec).unwrap();
        assert!(text.contains(r#""lock_wait":"15m""#), "{text}");
        assert_eq!(serde_json::from_str::<ReleaseSpec>(&text).unwrap(), spec);
        assert!(!serde_json::to_string(&ReleaseSpec::default()).unwrap().contains("lock_wait"));
        let bad = br#"{"lock_wait": "1h", "timeout": "1h"}"#;
        let error = crate::Format::Json.read::<ReleaseSpec>(bad).unwrap_err();
        assert!(error.to_string().starts_with("lock_wait: found 1h, allowed is less"), "{error}");
    }

    #[test]
    fn a_confirmation_that_makes_no_sense_is_refused() {
        for bad in [
            r#"{"confirm": "30s", "rollback": false}"#,
            r#"{"confirm": "4s"}"#,
            r#"{"confirm": "11m"}"#,
            r#"{"confirm": "1m", "timeout": "1m"}"#,
        ] {
            let error = crate::Format::Json.read::<ReleaseSpec>(bad.as_bytes()).unwrap_err();
            let faults = error.faults().unwrap().as_slice();
            assert_eq!(faults.len(), 1, "{bad}");
            assert_eq!(faults[0].path, "confirm", "{bad}");
        }
    }
}
