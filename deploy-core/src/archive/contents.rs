//! What a package holds, in numbers.

use serde::{Deserialize, Serialize};

use super::format::PackageFormat;

/// What a package holds once it is laid out, as [`inspect`](super::inspect) and
/// [`unpack`](super::unpack) both report it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PackageContents {
    /// How the package is packed.
    pub format: PackageFormat,
    /// Everything that is created: directories (those only implied by a path among them), files
    /// and links. The release's own directory does not count.
    pub entries: u64,
    /// Regular files, hard links among them.
    pub files: u64,
    /// The bytes of all regular files; a hard link adds none.
    pub unpacked_bytes: u64,
    /// Whether the modes that the package gives its files and directories are those that they get:
    /// their owner may read and write, nobody else may write, and nothing is set-user-ID, set-group-ID or
    /// sticky. Only a tar can say so.
    #[serde(default)]
    pub plain_modes: bool,
}

impl PackageContents {
    /// Says what a package holds, for those who know it without reading it (tests, fakes).
    #[must_use]
    pub fn new(format: PackageFormat, entries: u64, files: u64, unpacked_bytes: u64) -> Self {
        Self { format, entries, files, unpacked_bytes, plain_modes: false }
    }
}
