//! When a connection that failed is tried again.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use deploy_core::{ConnectError, Retry};

/// How long to wait before the attempt after `attempt`, the first of which is 1; `None` when it is not
/// worth another.
pub(crate) fn pause(error: &ConnectError, attempt: u32, retries: u32) -> Option<Duration> {
    if attempt > retries {
        return None;
    }
    match error.retry() {
        Retry::Never | Retry::Exhausted => None,
        _ => Some(jitter(Duration::from_millis(500) * 2_u32.saturating_pow(attempt - 1).min(16))),
    }
}

/// Between a half and the whole of a time: hosts that failed together do not come back together.
fn jitter(whole: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() >> 32;
    let part = u32::try_from(random).unwrap_or_default();
    whole / 2 + (whole / 2).mul_f64(f64::from(part) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again_and_not_for_ever() {
        let endpoint = || "ssh://h".to_owned();
        let late = ConnectError::TimedOut { endpoint: endpoint() };
        let first = pause(&late, 1, 2).unwrap();
        assert!(first >= Duration::from_millis(250) && first <= Duration::from_millis(500));
        let second = pause(&late, 2, 2).unwrap();
        assert!(second >= Duration::from_millis(500) && second <= Duration::from_secs(1));
        assert_eq!(pause(&late, 3, 2), None);
        let refused = ConnectError::Rejected { endpoint: endpoint(), reason: String::new() };
        assert_eq!(pause(&refused, 1, 2), None);
        assert_eq!(pause(&ConnectError::Cancelled, 1, 2), None);
    }
}
