//! Random and mutated packages: no panic, nothing outside, and one verdict of both functions.

use deploy_core::archive::{Interrupt, UnpackLimits, inspect};
use proptest::prelude::*;

use super::jail::{Jail, Package};
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
    let limits = UnpackLimits::default()
        .with_total_bytes(1 << 20)
        .with_entries(100);
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
    fn a_mutated_xz_is_harmless(bytes in mutated(super::benign::filter("xz", &["-c"], &tar()))) {
        assert_harmless("app.tar.xz", bytes)?;
    }

    #[test]
    fn a_mutated_zip_is_harmless(bytes in mutated(zip())) {
        assert_harmless("app.zip", bytes)?;
    }
}
