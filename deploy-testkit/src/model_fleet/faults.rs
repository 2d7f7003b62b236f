//! What breaks on the hosts of a fleet, and how often.

/// What breaks on the hosts of a fleet, and how often: each figure is out of a thousand runs of the
/// program on a host. Nothing breaks by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetFaults {
    /// The host cannot be reached.
    pub unreachable: u32,
    /// A step before the switch fails.
    pub fails_before: u32,
    /// A step after the switch fails.
    pub fails_after: u32,
    /// A hook hangs until its time is over.
    pub hangs: u32,
    /// The program is killed in the middle, and the host with it for all that can be seen.
    pub dies: u32,
    /// The connection is lost in the middle. The host may notice at once, later or never.
    pub lost: u32,
    /// A step takes a minute and more.
    pub slow: u32,
    /// The monitoring address of a host that serves a release does not answer as expected.
    pub unhealthy: u32,
}

impl FleetFaults {
    /// Everything breaks now and then.
    #[must_use]
    pub fn everything(per_mille: u32) -> Self {
        Self {
            unreachable: per_mille,
            fails_before: per_mille,
            fails_after: per_mille,
            hangs: per_mille / 2,
            dies: per_mille,
            lost: per_mille,
            slow: per_mille,
            unhealthy: per_mille,
        }
    }
}

/// A rule that hosts break, to see whether a test notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostFlaw {
    /// Older fencing numbers are let in, and a lock is there for the taking.
    IgnoresFences,
    /// A release that is served and good is installed again.
    InstallsAgain,
    /// `current` is pointed at a release before it is whole.
    SwitchesEarly,
    /// A rollback says that it went back, and leaves the host as it is.
    PretendsToGoBack,
}
