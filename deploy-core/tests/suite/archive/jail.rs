//! A directory to unpack into, with surroundings that may not change.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use deploy_core::archive::{
    ArchiveError, Interrupt, PackageContents, UnpackLimits, inspect, unpack,
};
use tempfile::TempDir;

/// A package as bytes, and the name it came under.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) limits: UnpackLimits,
}

impl Package {
    pub(crate) fn new(name: &str, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes, limits: UnpackLimits::default() }
    }

    pub(crate) fn limits(mut self, limits: UnpackLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Writes the package to a file whose cursor is not where it begins.
    pub(crate) fn file(&self) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&self.bytes).unwrap();
        file.seek(SeekFrom::Start(7)).unwrap();
        file
    }
}

/// The directory to unpack into, beside files that an escape would change.
#[derive(Debug)]
pub(crate) struct Jail {
    root: TempDir,
    outside: String,
}

impl Jail {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = root.path();
        for directory in ["a", "x", "etc", "jail", "jail/inside"] {
            fs::create_dir(path.join(directory)).unwrap();
        }
        for file in ["secret", "x/f", "etc/passwd", "jail/secret"] {
            fs::write(path.join(file), "untouched").unwrap();
            fs::set_permissions(path.join(file), fs::Permissions::from_mode(0o600)).unwrap();
        }
        symlink("etc", path.join("link")).unwrap();
        let outside = outside(path);
        Self { root, outside }
    }

    pub(crate) fn inside(&self) -> PathBuf {
        self.root.path().join("jail/inside")
    }

    pub(crate) fn unpack(&self, package: &Package) -> Result<PackageContents, ArchiveError> {
        let interrupt = Interrupt::new();
        let (file, limits) = (package.file(), &package.limits);
        let result = unpack(&file, &package.name, &self.inside(), limits, &interrupt);
        self.assert_intact();
        result
    }

    /// Fails if anything outside changed, or anything inside is of a kind that never may be.
    pub(crate) fn assert_intact(&self) {
        assert_eq!(outside(self.root.path()), self.outside, "the outside");
        let inside = fs::canonicalize(self.inside()).unwrap();
        for path in walk(&inside) {
            let metadata = path.symlink_metadata().unwrap();
            let kind = metadata.file_type();
            assert!(kind.is_file() || kind.is_dir() || kind.is_symlink(), "{path:?}");
            if kind.is_symlink() {
                if let Ok(end) = fs::canonicalize(&path) {
                    assert!(end.starts_with(&inside), "{path:?} leads to {end:?}");
                }
            } else {
                assert_eq!(metadata.mode() & 0o7022, 0, "{path:?}");
            }
        }
    }

    /// The bytes that all files inside take.
    pub(crate) fn used(&self) -> u64 {
        walk(&self.inside())
            .iter()
            .map(|path| path.symlink_metadata().unwrap())
            .filter(fs::Metadata::is_file)
            .map(|metadata| metadata.len())
            .sum()
    }
}

/// Fails unless `inspect` and `unpack` both refuse the package for this reason.
#[track_caller]
pub(crate) fn assert_refused(package: &Package, reason: &str) {
    let (file, interrupt) = (package.file(), Interrupt::new());
    let inspected = inspect(&file, &package.name, &package.limits, &interrupt);
    let inspected = inspected.expect_err("inspect accepted it");
    let unpacked = Jail::new().unpack(package);
    let unpacked = unpacked.expect_err("unpack accepted it");
    assert_eq!(kind(&inspected), reason, "{inspected:?}");
    assert_eq!(inspected.to_string(), unpacked.to_string());
    assert!(inspected.to_string().len() < 1000, "{inspected}");
}

/// Fails unless `inspect` and `unpack` both accept the package, and it lays out these lines.
#[track_caller]
pub(crate) fn assert_accepted(package: &Package, expected: &[&str]) {
    let (file, interrupt) = (package.file(), Interrupt::new());
    let inspected = inspect(&file, &package.name, &package.limits, &interrupt);
    let jail = Jail::new();
    let unpacked = jail.unpack(package).unwrap();
    assert_eq!(inspected.unwrap(), unpacked);
    let tree = tree(&jail.inside());
    assert_eq!(tree, expected);
    assert_eq!(unpacked.entries, tree.len() as u64);
    let files = tree.iter().filter(|line| line.starts_with('f')).count();
    assert_eq!(unpacked.files, files as u64);
}

/// The condition of an error, in the words of the tables.
pub(crate) fn kind(error: &ArchiveError) -> String {
    match error {
        ArchiveError::Escapes { .. } => "escapes".into(),
        ArchiveError::Forbidden { .. } => "forbidden".into(),
        ArchiveError::Duplicate { .. } => "duplicate".into(),
        ArchiveError::TooLarge { limit, .. } => format!("too many {limit}"),
        ArchiveError::Damaged { .. } => "damaged".into(),
        ArchiveError::Io { .. } => "io".into(),
        ArchiveError::Interrupted => "interrupted".into(),
        other => format!("{other:?}"),
    }
}

/// A tree as sorted lines: `f 644 path content`, `d 755 path`, `l path -> target`.
pub(crate) fn tree(root: &Path) -> Vec<String> {
    walk(root)
        .iter()
        .map(|path| {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let metadata = path.symlink_metadata().unwrap();
            let mode = metadata.mode() & 0o7777;
            if metadata.is_symlink() {
                format!("l {name} -> {}", fs::read_link(path).unwrap().display())
            } else if metadata.is_dir() {
                format!("d {mode:o} {name}")
            } else {
                let content = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
                format!("f {mode:o} {name} {content}").trim_end().into()
            }
        })
        .collect()
}

/// The paths of everything below a directory.
pub(crate) fn names(root: &Path) -> Vec<String> {
    let name = |path: &PathBuf| path.strip_prefix(root).unwrap().display().to_string();
    walk(root).iter().map(name).collect()
}

/// Everything below a directory, sorted, without following links.
fn walk(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![root.to_path_buf()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// Everything around the directory to unpack into: names, kinds, modes, times, contents.
fn outside(root: &Path) -> String {
    let inside = root.join("jail/inside");
    let mut text = String::new();
    for path in walk(root).iter().filter(|path| !path.starts_with(&inside)) {
        let metadata = path.symlink_metadata().unwrap();
        let content =
            if metadata.is_file() { fs::read_to_string(path).unwrap() } else { String::new() };
        writeln!(
            text,
            "{path:?} {:o} {}.{} {} {content}",
            metadata.mode(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.nlink(),
        )
        .unwrap();
    }
    text
}

#[test]
#[should_panic(expected = "the outside")]
fn a_file_written_outside_is_noticed() {
    let jail = Jail::new();
    fs::write(jail.inside().join("../../etc/new"), "").unwrap();
    jail.assert_intact();
}

#[test]
#[should_panic(expected = "the outside")]
fn a_mode_changed_outside_is_noticed() {
    let jail = Jail::new();
    fs::set_permissions(jail.root.path().join("x"), fs::Permissions::from_mode(0o777)).unwrap();
    jail.assert_intact();
}

#[test]
#[should_panic(expected = "leads to")]
fn a_link_that_leads_outside_is_noticed() {
    let jail = Jail::new();
    symlink("../secret", jail.inside().join("l")).unwrap();
    jail.assert_intact();
}

#[test]
#[should_panic(expected = "f")]
fn a_setuid_file_is_noticed() {
    let jail = Jail::new();
    let file = jail.inside().join("f");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4755)).unwrap();
    jail.assert_intact();
}
