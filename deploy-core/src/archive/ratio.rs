//! The guard against bombs: output compared with the size of the package.

use super::error::{ArchiveError, Limit};
use super::limits::UnpackLimits;

/// Output that is always allowed: small packages of zeros are common in tests and harmless.
const FREE_BYTES: u64 = 10 << 20;

/// Counts what comes out of a package and stops when it is out of proportion.
#[derive(Debug)]
pub(super) struct Ratio {
    produced: u64,
    allowed: u64,
    limit: u64,
}

impl Ratio {
    pub(super) fn new(package_bytes: u64, limits: &UnpackLimits) -> Self {
        Self {
            produced: 0,
            allowed: package_bytes.saturating_mul(limits.ratio).max(FREE_BYTES),
            limit: limits.ratio,
        }
    }

    pub(super) fn add(&mut self, bytes: u64) -> Result<(), ArchiveError> {
        self.produced = self.produced.saturating_add(bytes);
        if self.produced > self.allowed {
            return Err(ArchiveError::too_large(Limit::Ratio, self.limit));
        }
        Ok(())
    }
}
