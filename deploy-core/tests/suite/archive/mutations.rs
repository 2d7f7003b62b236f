//! Random and mutated packages: no panic, nothing outside, and one verdict of both functions.

use std::collections::BTreeSet;

use deploy_core::archive::{Interrupt, UnpackLimits, inspect};
use proptest::prelude::*;

use super::benign::{filter, output};
use super::jail::{Jail, Package, names};
use super::tar_builder::{Tar, gzip, zstd};
use super::zip_builder::{Entry, Zip};

fn tar() -> Vec<u8> {
    Tar::new()
        .directory("d")
        .file("d/f", "hello")
        .pax(&[("path", "d/g"), ("mtime", "1.5")])
        .file("short", "world")
        .long_name("d/long\0")
        .file("short", "!")
        .symlink("l", "d/f")
        .hardlink("h", "d/f")
        .end()
        .0
}

fn zip() -> Vec<u8> {
    Zip::of([
        Entry::stored("d/", ""),
        Entry::deflated("d/f", "hello hello hello"),
        Entry::stored("g", "x").described_after(|_| {}),
        Entry::of_mode("l", 0o120_777, "d/f"),
    ])
    .build()
}

/// Fails if the two functions disagree, or if anything but the inside changed.
fn assert_harmless(name: &str, bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let limits = UnpackLimits::default().with_total_bytes(1 << 20).with_entries(100);
    let package = Package::new(name, bytes).limits(limits);
    let inspected = inspect(&package.file(), name, &package.limits, &Interrupt::new());
    // Watches the outside itself.
    let unpacked = Jail::new().unpack(&package);
    match (inspected, unpacked) {
        (Ok(inspected), Ok(unpacked)) => prop_assert_eq!(inspected, unpacked),
        (Err(inspected), Err(unpacked)) => {
            prop_assert_eq!(inspected.to_string(), unpacked.to_string());
        }
        (inspected, unpacked) => prop_assert!(false, "{inspected:?} but {unpacked:?}"),
    }
    Ok(())
}

/// Fails if a package that we accept is listed differently by the usual tool.
///
/// It may refuse what we accept, for a date or an owner that we do not look at. It need not list
/// the directories that are implied, nor the root.
fn assert_listed_alike(name: &str, bytes: &[u8], listing: &[&str]) -> Result<(), TestCaseError> {
    let jail = Jail::new();
    if jail.unpack(&Package::new(name, bytes.to_vec())).is_err() {
        return Ok(());
    }
    let output = output(&jail.inside(), listing[0], &listing[1..], bytes);
    if !output.status.success() {
        return Ok(());
    }
    let listed: BTreeSet<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| line.split('/').filter(|c| !matches!(*c, "" | ".")).collect::<Vec<_>>())
        .filter(|path| !path.is_empty())
        .map(|path| path.join("/"))
        .collect();
    let ours: BTreeSet<String> = names(&jail.inside()).into_iter().collect();
    let unknown: Vec<_> = listed.difference(&ours).collect();
    prop_assert!(unknown.is_empty(), "only the tool lists {unknown:?}");
    for name in ours.difference(&listed) {
        let implied = format!("{name}/");
        let below = ours.iter().any(|other| other.starts_with(&implied));
        prop_assert!(below, "only we list {name:?}");
    }
    Ok(())
}

/// Sets a few bytes, then cuts or repeats a part.
fn mutated(seed: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = seed.len();
    let changes = prop::collection::vec((0..length, any::<u8>()), 0..4);
    let part = (0..length, 0..length, 0..3_usize);
    (changes, part).prop_map(move |(changes, (from, to, times))| {
        let mut bytes = seed.clone();
        for (at, value) in changes {
            bytes[at] = value;
        }
        let (from, to) = (from.min(to), from.max(to));
        let part = bytes[from..to].to_vec();
        // Most often the bytes stay where they are.
        if from % 2 == 0 {
            bytes.splice(from..to, part.repeat(times));
        }
        bytes
    })
}

/// Changes fields of tar headers and mends the checksums, so that more than those is tested.
fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    for block in bytes.chunks_exact_mut(512) {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    bytes
}

proptest! {
    #[test]
    fn random_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        assert_harmless("app", bytes)?;
    }

    #[test]
    fn random_bytes_behind_a_magic_are_harmless(
        magic in prop::sample::select(vec![
            &b"\x1f\x8b\x08\0"[..], b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"PK\x03\x04",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        assert_harmless("app.zip", [magic, &bytes].concat())?;
    }

    #[test]
    fn a_mutated_tar_is_harmless(bytes in mutated(tar())) {
        assert_harmless("app.tar", bytes)?;
    }

    #[test]
    fn a_mutated_tar_with_sound_checksums_is_harmless(bytes in mutated(tar())) {
        assert_harmless("app.tar", resealed(bytes))?;
    }

    #[test]
    fn a_mutated_gzip_is_harmless(bytes in mutated(gzip(&tar()))) {
        assert_harmless("app.tar.gz", bytes)?;
    }

    #[test]
    fn a_mutated_zstd_is_harmless(bytes in mutated(zstd(&tar()))) {
        assert_harmless("app.tar.zst", bytes)?;
    }

    #[test]
    fn a_mutated_xz_is_harmless(bytes in mutated(filter("xz", &["-c"], &tar()))) {
        assert_harmless("app.tar.xz", bytes)?;
    }

    #[test]
    fn a_mutated_zip_is_harmless(bytes in mutated(zip())) {
        assert_harmless("app.zip", bytes)?;
    }

    #[test]
    fn sec_c05_a_mutated_tar_is_listed_as_gnu_tar_lists_it(bytes in mutated(tar())) {
        let listing = ["tar", "--quoting-style=literal", "-tf", "-"];
        assert_listed_alike("app.tar", &resealed(bytes), &listing)?;
    }
}

proptest! {
    // Each case starts an interpreter.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sec_c03_a_mutated_zip_is_listed_as_python_lists_it(bytes in mutated(zip())) {
        let script = "import io, sys, zipfile
print('\\n'.join(zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read())).namelist()))";
        assert_listed_alike("app.zip", &bytes, &["python3", "-c", script])?;
    }
}
