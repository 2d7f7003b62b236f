//! Telling how a package is packed.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::ArchiveError;
use super::limits::UnpackLimits;
use super::package::Package;
use super::stream::{Compression, Stream};
use super::tar::header::{BLOCK_BYTES, Block, Start};

/// How a package is packed, as its bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PackageFormat {
    /// A tar compressed with gzip, of one member or several.
    TarGz,
    /// A tar compressed with zstd.
    TarZst,
    /// A tar compressed with xz.
    TarXz,
    /// A plain tar.
    Tar,
    /// A zip.
    Zip,
    /// One file that is laid down as it is: a `.jar`, a binary.
    SingleFile,
}

impl fmt::Display for PackageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TarGz => "tar.gz",
            Self::TarZst => "tar.zst",
            Self::TarXz => "tar.xz",
            Self::Tar => "tar",
            Self::Zip => "zip",
            Self::SingleFile => "single file",
        })
    }
}

/// Extensions of zips that are deployed as one file.
const WHOLE: [&str; 3] = [".jar", ".war", ".ear"];

/// Extensions that promise an archive of one of our formats.
const PROMISES: [&str; 8] =
    [".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst", ".tar.xz", ".txz", ".zip"];

impl PackageFormat {
    /// Whether it is a tar, compressed or not.
    pub(super) fn is_tar(self) -> bool {
        match self {
            Self::TarGz | Self::TarZst | Self::TarXz | Self::Tar => true,
            Self::Zip | Self::SingleFile => false,
        }
    }

    /// Tells the format from the first bytes; the name only helps where they say nothing.
    pub(super) fn tell(package: Package<'_>, limits: &UnpackLimits) -> Result<Self, ArchiveError> {
        let mut head: Block = [0; BLOCK_BYTES];
        let read = Stream::open(package, Compression::Plain, limits)?.read(&mut head)?;
        if matches!(&head, [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..]) {
            return Ok(if ends_with_any(package.name, &WHOLE) {
                Self::SingleFile
            } else {
                Self::Zip
            });
        }
        let promised = ends_with_any(package.name, &PROMISES);
        let compression = Compression::of(&head[..read]);
        let start = match first_block(package, compression, limits) {
            // It only looked like something compressed.
            Err(ArchiveError::Damaged { .. }) if !promised => Start::Unknown,
            start => start?,
        };
        match start {
            Start::Header => Ok(Self::tar(compression)),
            Start::Zeros if promised => Ok(Self::tar(compression)),
            Start::Zeros | Start::Unknown if !promised => Ok(Self::SingleFile),
            Start::Zeros | Start::Unknown => {
                let reason = "its name promises an archive, but its bytes hold none";
                Err(ArchiveError::damaged(reason))
            }
        }
    }

    pub(super) fn compression(self) -> Compression {
        match self {
            Self::TarGz => Compression::Gzip,
            Self::TarZst => Compression::Zstd,
            Self::TarXz => Compression::Xz,
            Self::Tar | Self::Zip | Self::SingleFile => Compression::Plain,
        }
    }

    fn tar(compression: Compression) -> Self {
        match compression {
            Compression::Gzip => Self::TarGz,
            Compression::Zstd => Self::TarZst,
            Compression::Xz => Self::TarXz,
            Compression::Plain => Self::Tar,
        }
    }
}

fn first_block(
    package: Package<'_>,
    compression: Compression,
    limits: &UnpackLimits,
) -> Result<Start, ArchiveError> {
    let mut block: Block = [0; BLOCK_BYTES];
    let read = Stream::open(package, compression, limits)?.read(&mut block)?;
    Ok(if read == BLOCK_BYTES { Start::of(&block) } else { Start::Unknown })
}

fn ends_with_any(name: &str, endings: &[&str]) -> bool {
    let name = name.to_ascii_lowercase();
    endings.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_shown_as_an_extension_and_stored_in_snake_case() {
        for (format, shown, stored) in [
            (PackageFormat::TarGz, "tar.gz", "\"tar_gz\""),
            (PackageFormat::TarZst, "tar.zst", "\"tar_zst\""),
            (PackageFormat::TarXz, "tar.xz", "\"tar_xz\""),
            (PackageFormat::Tar, "tar", "\"tar\""),
            (PackageFormat::Zip, "zip", "\"zip\""),
            (PackageFormat::SingleFile, "single file", "\"single_file\""),
        ] {
            assert_eq!(format.to_string(), shown);
            assert_eq!(serde_json::to_string(&format).unwrap(), stored);
        }
    }

    #[test]
    fn endings_are_compared_without_case() {
        assert!(ends_with_any("App.JAR", &WHOLE));
        assert!(ends_with_any("app.Tar.GZ", &PROMISES));
        assert!(!ends_with_any("app.gz", &PROMISES));
    }
}
