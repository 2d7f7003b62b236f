//! What a host says that it has, believed within bounds.

use crate::model::{FoundRelease, HostFound, ReleaseId};

/// How many releases are kept: a host has no more than its newest good ones and some that failed.
const RELEASES: usize = 100;

/// How long the words about a lock may be, in characters.
const LOCKED: usize = 1000;

/// What was heard so far.
#[derive(Debug, Default)]
pub(crate) struct Found {
    releases: Vec<(u64, FoundRelease)>,
    free: Option<u64>,
    locked: Option<String>,
}

impl Found {
    /// Hears of a release and of its place in their order. Of more than there can be the newest count.
    pub(crate) fn release(&mut self, order: u64, release: FoundRelease) {
        self.releases.push((order, release));
        if self.releases.len() > 2 * RELEASES {
            self.keep_newest();
        }
    }

    /// Hears how many KiB are free.
    pub(crate) fn free(&mut self, kib: u64) {
        self.free = Some(kib.saturating_mul(1024));
    }

    /// Hears who holds the lock.
    pub(crate) fn locked(&mut self, by: &str) {
        self.locked = Some(by.chars().take(LOCKED).collect());
    }

    /// What is there.
    pub(crate) fn finish(mut self, current: Option<ReleaseId>) -> HostFound {
        self.keep_newest();
        let releases = self.releases.into_iter().map(|(_, release)| release).collect();
        HostFound { current, releases, free: self.free, locked: self.locked }
    }

    fn keep_newest(&mut self) {
        self.releases.sort_by(|(one, _), (other, _)| other.cmp(one));
        self.releases.truncate(RELEASES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ReleaseState;

    #[test]
    fn of_a_host_that_says_too_much_the_newest_releases_and_a_part_of_the_words_count() {
        let mut found = Found::default();
        for number in 0..5_000_u64 {
            // In no order.
            let order = number * 7 % 5_000;
            let id = ReleaseId::new(format!("d{order}")).unwrap();
            found.release(order, FoundRelease::new(id, ReleaseState::Good));
            assert!(found.releases.len() <= 2 * RELEASES);
        }
        found.locked(&"ä".repeat(5_000));
        found.free(u64::MAX);
        let found = found.finish(None);
        let ids: Vec<_> = found.releases.iter().map(|found| found.release.to_string()).collect();
        let expected: Vec<_> = (4_900..5_000).rev().map(|number| format!("d{number}")).collect();
        assert_eq!(ids, expected);
        assert_eq!(found.locked.unwrap().chars().count(), LOCKED);
        assert_eq!(found.free, Some(u64::MAX));
    }
}
