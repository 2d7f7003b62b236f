//! Inspecting and unpacking: one walk, two sinks.

use std::fs::File;
use std::path::Path;

use super::contents::PackageContents;
use super::disk::Disk;
use super::error::ArchiveError;
use super::format::PackageFormat;
use super::interrupt::Interrupt;
use super::layout::Layout;
use super::limits::UnpackLimits;
use super::package::Package;
use super::path::components;
use super::sink::{Discard, Sink};
use super::stream::{Compression, Stream};
use super::{tar, zip};

/// The mode of a single file: it may be a program, and nothing says that it is not.
const SINGLE_FILE_MODE: u32 = 0o755;

/// Reads a whole package and says what it holds, or why it would be refused.
///
/// `package` is read by position from its first byte; its cursor does not move. `file_name` is the
/// last component of where the package came from: the name of a single file, and a help where the
/// bytes say nothing about the format.
///
/// # Behavior
///
/// Writes nothing. What is accepted here, [`unpack`] accepts with the same result, as long as the
/// file does not change and the disk does not fail. Memory does not grow with the package: it is
/// bounded by [`UnpackLimits::entries`] and the windows of the decoders (128 MiB for zstd).
///
/// # Errors
///
/// Every variant of [`ArchiveError`]; `Io` only for the package itself.
pub fn inspect(
    package: &File,
    file_name: &str,
    limits: &UnpackLimits,
    interrupt: &Interrupt,
) -> Result<PackageContents, ArchiveError> {
    let package = Package::new(package, file_name, interrupt)?;
    walk(package, Layout::new(limits, Discard))
}

/// Unpacks a package into an existing, empty directory.
///
/// Takes the same arguments as [`inspect`], and `into`, which may not be a symbolic link.
///
/// # Behavior
///
/// On return every file, directory and link below `into` is durable. Nothing outside of `into`
/// changes, ever. On an error, what was written so far stays, and the caller removes the unfinished
/// directory.
///
/// # Errors
///
/// Every variant of [`ArchiveError`]; `Io` as well if `into` is missing, a link, or not empty.
pub fn unpack(
    package: &File,
    file_name: &str,
    into: &Path,
    limits: &UnpackLimits,
    interrupt: &Interrupt,
) -> Result<PackageContents, ArchiveError> {
    let package = Package::new(package, file_name, interrupt)?;
    walk(package, Layout::new(limits, Disk::open(into)?))
}

fn walk<S: Sink>(
    package: Package<'_>,
    mut layout: Layout<'_, S>,
) -> Result<PackageContents, ArchiveError> {
    let format = PackageFormat::tell(package, layout.limits)?;
    match format {
        PackageFormat::SingleFile => single_file(package, &mut layout)?,
        PackageFormat::Zip => zip::walk(package, &mut layout)?,
        PackageFormat::TarGz
        | PackageFormat::TarZst
        | PackageFormat::TarXz
        | PackageFormat::Tar => {
            let mut stream = Stream::open(package, format.compression(), layout.limits)?;
            tar::walk(&mut stream, &mut layout)?;
        }
    }
    layout.finish(format)
}

fn single_file<S: Sink>(
    package: Package<'_>,
    layout: &mut Layout<'_, S>,
) -> Result<(), ArchiveError> {
    let name = package.name;
    if name.contains('/') || components(name).next() != Some(name) {
        let reason = "a single file needs a plain name";
        return Err(ArchiveError::escapes(name.as_bytes(), reason));
    }
    layout.open_file(name.as_bytes(), SINGLE_FILE_MODE, package.len)?;
    let mut stream = Stream::open(package, Compression::Plain, layout.limits)?;
    stream.copy(package.len, |chunk| layout.write(chunk))?;
    layout.close_file()
}
