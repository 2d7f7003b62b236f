//! How long things may take, how many there may be, and why.

use std::time::Duration;

/// When a host is asked whether it is there, and when it is given up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Liveness {
    pub(crate) ask_every: Duration,
    pub(crate) silent_for: Duration,
}

/// What the builder sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connect: Duration,
    pub(crate) login: Duration,
    pub(crate) liveness: Liveness,
    pub(crate) connecting: usize,
    pub(crate) sessions: usize,
    pub(crate) retries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Two lost packets are sent again after 1 s and 3 s; a host that is there has answered by 7 s.
            connect: Duration::from_secs(10),
            // A loaded host takes seconds for a login; sshd itself gives up after 120 s.
            login: Duration::from_secs(30),
            liveness: Liveness {
                ask_every: Duration::from_secs(15),
                // Three questions without an answer, and time for a fourth.
                silent_for: Duration::from_secs(60),
            },
            // Logins are the dearest part for this side's processor; more at once only wait for it.
            connecting: 30,
            // A thread, a socket and up to 340 KB each: what 1,024 descriptors and 170 MB allow.
            sessions: 500,
            retries: 2,
        }
    }
}
