//! How much a package may hold.

use serde::{Deserialize, Serialize};

/// How much a package may hold. The limits are enforced while reading, on what is found, never on
/// what the package claims.
///
/// A path is never longer than 4,095 bytes, which is what Linux can open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct UnpackLimits {
    /// Entries, and directories implied by them. 100,000, because a large `node_modules` has about
    /// half of that, and a release directory with more makes every later listing slow.
    pub entries: u64,
    /// Bytes of all files together. 16 GiB, because that is several times the largest application
    /// image in common use and still fits a small disk.
    pub total_bytes: u64,
    /// Bytes of one file. 8 GiB, because a tar header cannot say more without an extension.
    pub file_bytes: u64,
    /// Components of one path. 64, because real trees stay below 30 and each level costs a system
    /// call.
    pub depth: usize,
    /// Bytes of one component of a path. 255, because Linux file systems take no more.
    pub name_bytes: usize,
    /// Unpacked bytes per byte of the package, once 10 MiB are unpacked. 200, because text and
    /// code stay below 20, logs below 100, and a bomb above 1,000.
    pub ratio: u64,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        Self {
            entries: 100_000,
            total_bytes: 16 << 30,
            file_bytes: 8 << 30,
            depth: 64,
            name_bytes: 255,
            ratio: 200,
        }
    }
}

impl UnpackLimits {
    /// Starts from the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many entries a package may hold.
    #[must_use]
    pub fn with_entries(mut self, entries: u64) -> Self {
        self.entries = entries;
        self
    }

    /// Sets how many bytes all files may have together.
    #[must_use]
    pub fn with_total_bytes(mut self, total_bytes: u64) -> Self {
        self.total_bytes = total_bytes;
        self
    }

    /// Sets how many bytes one file may have.
    #[must_use]
    pub fn with_file_bytes(mut self, file_bytes: u64) -> Self {
        self.file_bytes = file_bytes;
        self
    }

    /// Sets how many components a path may have.
    #[must_use]
    pub fn with_depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// Sets how many bytes one component of a path may have.
    #[must_use]
    pub fn with_name_bytes(mut self, name_bytes: usize) -> Self {
        self.name_bytes = name_bytes;
        self
    }

    /// Sets how many bytes may come out of one byte of the package.
    #[must_use]
    pub fn with_ratio(mut self, ratio: u64) -> Self {
        self.ratio = ratio;
        self
    }
}
