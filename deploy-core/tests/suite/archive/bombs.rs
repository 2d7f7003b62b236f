//! Packages that hold more than they should, and the flag that stops reading them.

use deploy_core::archive::{ArchiveError, Interrupt, UnpackLimits, inspect, unpack};

use super::jail::{Jail, Package, assert_refused};
use super::tar_builder::{Header, Tar, gzip, zstd};
use super::zip_builder::{Entry, Zip};

const GIB: usize = 1 << 30;
const MIB: u64 = 1 << 20;
const PIECE: usize = 1 << 20;

fn limits() -> UnpackLimits {
    UnpackLimits::default()
}

/// A tar of one file of 1 GiB of zeros, packed piece by piece: what is repeated is packed once.
fn bomb(pack: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let header = Tar::new().entry(Header::new("zeros", b'0', GIB), "").0;
    let content = pack(&[0; PIECE]).repeat(GIB / PIECE);
    [pack(&header), content, pack(&[0; 1024])].concat()
}

/// Fails unless the bomb is refused by its ratio before more than `cap` bytes are on the disk.
#[track_caller]
fn assert_defused(package: &Package, cap: u64) {
    assert_refused(package, "too many unpacked bytes per packed byte");
    let jail = Jail::new();
    jail.unpack(package).unwrap_err();
    assert!(jail.used() <= cap + MIB, "{} bytes", jail.used());
}

fn files(count: usize) -> Tar {
    (0..count).fold(Tar::new(), |tar, i| tar.file(format!("{i}"), ""))
}

fn zeros(bytes: usize) -> Package {
    Tar::new().file("f", vec![0; bytes]).package()
}

refused! {
    sec_c06_a_file_above_the_limit_is_refused:
        zeros(1025).limits(limits().with_file_bytes(1024)) => "too many bytes in one file";
    sec_c06_files_above_the_limit_together_are_refused:
        Tar::new().file("a", [0; 600]).file("b", [0; 600]).package().limits(limits().with_total_bytes(1024))
        => "too many bytes unpacked";
    sec_c06_padding_above_the_limit_is_refused:
        Tar::new().end().bytes([0; 4096]).unfinished().limits(limits().with_total_bytes(1024)) => "too many bytes unpacked";
    sec_c06_a_single_file_above_the_limit_is_refused:
        Package::new("app", vec![1; 1025]).limits(limits().with_file_bytes(1024)) => "too many bytes in one file";
    sec_c06_entries_above_the_limit_are_refused:
        files(11).package().limits(limits().with_entries(10)) => "too many entries";
    sec_c06_implied_directories_count: Tar::new().file("a/b/c", "").package().limits(limits().with_entries(2)) => "too many entries";
    sec_c06_a_directory_listed_without_end_is_refused:
        (0..11).fold(Tar::new(), |tar, _| tar.directory("d")).package().limits(limits().with_entries(10)) => "too many entries";
    sec_c06_global_headers_without_end_are_refused:
        (0..11).fold(Tar::new(), |tar, _| tar.pax_raw(b'g', Vec::new())).package().limits(limits().with_entries(10))
        => "too many entries";
    sec_c06_names_of_links_without_end_are_refused:
        (0..6000).fold(Tar::new(), |tar, i| tar.pax(&[("linkpath", &"d/".repeat(1500))]).symlink(format!("{i}"), "")).package()
        => "too many bytes of symbolic links";
    sec_c06_a_zip_of_more_entries_than_the_limit_is_refused:
        Zip::of((0..11).map(|i| Entry::stored(format!("{i}"), ""))).package().limits(limits().with_entries(10)) => "too many entries";
    sec_c06_a_zip_bomb_is_refused:
        Zip::of([Entry::deflated("zeros", vec![0; 64 << 20])]).package() => "too many unpacked bytes per packed byte";
    sec_c06_many_small_zip_bombs_are_refused:
        Zip::of((0..64).map(|i| Entry::deflated(format!("{i}"), vec![0; 1 << 20]))).package()
        => "too many unpacked bytes per packed byte";
}

#[test]
fn limits_are_inclusive() {
    let limits = limits().with_entries(2).with_file_bytes(600).with_total_bytes(1200);
    let tar = Tar::new().file("a", [0; 600]).file("b", [0; 600]);
    let contents = Jail::new().unpack(&tar.package().limits(limits)).unwrap();
    assert_eq!((contents.entries, contents.unpacked_bytes), (2, 1200));
}

#[test]
fn sec_c06_a_gib_of_zeros_in_gzip_is_refused() {
    let bomb = Package::new("bomb.tar.gz", bomb(gzip));
    // Zeros come out of gzip at about a thousand to one.
    let cap = 200 * bomb.bytes.len() as u64;
    assert!(cap < GIB as u64);
    assert_defused(&bomb, cap);
}

#[test]
fn sec_c06_a_gib_of_zeros_in_zstd_is_refused() {
    let bomb = Package::new("bomb.tar.zst", bomb(zstd));
    assert_defused(&bomb, (200 * bomb.bytes.len() as u64).max(10 * MIB));
}

#[test]
fn sec_c06_a_gib_of_bare_zeros_under_the_name_of_an_archive_is_refused() {
    let zeros = gzip(&[0; PIECE]).repeat(GIB / PIECE);
    let bomb = Package::new("bomb.tar.gz", zeros);
    assert_defused(&bomb, 0);
}

#[test]
fn sec_c06_a_million_empty_files_are_refused_at_the_default_limit() {
    let thousand = |i: usize| {
        let files = (0..1000).fold(Tar::new(), |tar, j| tar.file(format!("{i}/{j}"), ""));
        gzip(&files.0)
    };
    // No more than is read before the limit: the rest repeats what was there.
    let mut bytes: Vec<u8> = (0..101).flat_map(thousand).collect();
    bytes.extend(thousand(0).repeat(899));
    let package = Package::new("many.tar.gz", bytes);
    let inspected = inspect(&package.file(), &package.name, &limits(), &Interrupt::new());
    assert!(
        matches!(inspected, Err(ArchiveError::TooLarge { allowed: 100_000, .. })),
        "{inspected:?}"
    );
    assert_refused(&package.limits(limits().with_entries(500)), "too many entries");
}

#[test]
fn zeros_below_ten_mib_are_no_bomb() {
    let mut package = zeros(9 << 20);
    package.bytes = zstd(&package.bytes);
    package.name = "app.tar.zst".into();
    assert!(package.bytes.len() < 10_000);
    let contents = Jail::new().unpack(&package).unwrap();
    assert_eq!(contents.unpacked_bytes, 9 << 20);
}

#[test]
fn a_raised_interrupt_stops_both() {
    let interrupt = Interrupt::new();
    interrupt.clone().raise();
    assert!(interrupt.is_raised());
    for package in [
        zeros(4 << 20),
        Package::new("app.tar.gz", gzip(&zeros(4 << 20).bytes)),
        Package::new("app.tar.zst", zstd(&zeros(4 << 20).bytes)),
        Package::new("app", vec![1; 4 << 20]),
        Zip::of([Entry::stored("f", vec![1; 4 << 20])]).package(),
    ] {
        let jail = Jail::new();
        let file = package.file();
        let inspected = inspect(&file, &package.name, &limits(), &interrupt);
        let unpacked = unpack(&file, &package.name, &jail.inside(), &limits(), &interrupt);
        assert!(matches!(inspected, Err(ArchiveError::Interrupted)));
        assert!(matches!(unpacked, Err(ArchiveError::Interrupted)));
        assert_eq!(jail.used(), 0);
    }
}

#[test]
fn an_interrupt_in_the_middle_of_a_file_stops_it() {
    let bomb = Package::new("bomb.tar.gz", bomb(gzip));
    let (jail, interrupt) = (Jail::new(), Interrupt::new());
    let file = bomb.file();
    let limits = limits().with_ratio(u64::MAX);
    let unpacked = std::thread::scope(|scope| {
        let into = jail.inside();
        let (limits, flag) = (&limits, interrupt.clone());
        let unpacking = scope.spawn(move || unpack(&file, "bomb.tar.gz", &into, limits, &flag));
        while jail.used() == 0 && !unpacking.is_finished() {
            std::thread::yield_now();
        }
        interrupt.raise();
        unpacking.join().unwrap()
    });
    assert!(matches!(unpacked, Err(ArchiveError::Interrupted)), "{unpacked:?}");
    assert!(jail.used() < GIB as u64);
}
