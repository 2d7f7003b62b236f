//! Compressed streams: several members, wrong checksums, truncation, trailing bytes.

use super::jail::Package;
use super::tar_builder::{Tar, gzip, zstd};

/// Noise, so that a truncated stream is truncated in the middle of it.
fn noise() -> Vec<u8> {
    let mut state = 1_u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(100_000)
    .collect()
}

fn tar() -> Vec<u8> {
    Tar::new().file("f", "x").end().0
}

fn large_tar() -> Vec<u8> {
    Tar::new().file("f", noise()).end().0
}

fn tar_gz(bytes: Vec<u8>) -> Package {
    Package::new("app.tar.gz", bytes)
}

fn tar_zst(bytes: Vec<u8>) -> Package {
    Package::new("app.tar.zst", bytes)
}

fn tar_xz(bytes: Vec<u8>) -> Package {
    Package::new("app.tar.xz", bytes)
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    super::benign::filter("xz", &["-c"], bytes)
}

fn flipped_from_end(mut bytes: Vec<u8>, from_end: usize) -> Vec<u8> {
    let at = bytes.len() - from_end;
    bytes[at] ^= 1;
    bytes
}

fn cut(mut bytes: Vec<u8>, by: usize) -> Vec<u8> {
    bytes.truncate(bytes.len() - by);
    bytes
}

fn split(bytes: &[u8], pack: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let (a, b) = bytes.split_at(700);
    [pack(a), pack(b)].concat()
}

refused! {
    sec_c02_a_gzip_with_a_wrong_checksum_is_refused: tar_gz(flipped_from_end(gzip(&tar()), 8)) => "damaged";
    sec_c02_a_gzip_with_a_wrong_size_is_refused: tar_gz(flipped_from_end(gzip(&tar()), 4)) => "damaged";
    sec_c02_a_gzip_without_its_checksum_is_refused: tar_gz(cut(gzip(&tar()), 8)) => "damaged";
    sec_c02_a_truncated_gzip_is_refused: tar_gz(cut(gzip(&large_tar()), 50_000)) => "damaged";
    sec_c02_a_gzip_with_trailing_garbage_is_refused: tar_gz([gzip(&tar()), b"garbage".to_vec()].concat()) => "damaged";
    sec_c02_a_gzip_with_a_second_damaged_member_is_refused:
        tar_gz([gzip(&tar()), flipped_from_end(gzip(&[0; 512]), 8)].concat()) => "damaged";
    sec_c04_two_tars_in_two_gzip_members_are_refused: tar_gz([gzip(&tar()), gzip(&tar())].concat()) => "damaged";
    sec_c04_a_tar_gz_without_its_end_is_refused: tar_gz(gzip(&Tar::new().file("f", "x").0)) => "damaged";
    sec_c02_a_zstd_with_a_wrong_checksum_is_refused: tar_zst(flipped_from_end(zstd(&tar()), 1)) => "damaged";
    sec_c02_a_truncated_zstd_is_refused: tar_zst(cut(zstd(&large_tar()), 50_000)) => "damaged";
    sec_c02_a_zstd_with_trailing_garbage_is_refused: tar_zst([zstd(&tar()), b"garbage".to_vec()].concat()) => "damaged";
    sec_c02_an_xz_with_a_wrong_index_is_refused: tar_xz(flipped_from_end(xz(&tar()), 16)) => "damaged";
    sec_c02_a_truncated_xz_is_refused: tar_xz(cut(xz(&large_tar()), 50_000)) => "damaged";
    sec_c02_an_xz_without_its_footer_is_refused: tar_xz(cut(xz(&tar()), 12)) => "damaged";
    sec_c02_an_xz_with_trailing_garbage_is_refused: tar_xz([xz(&tar()), b"garbage".to_vec()].concat()) => "damaged";
    sec_c06_a_zstd_window_of_more_than_128_mib_is_refused:
        tar_zst(super::benign::filter("zstd", &["-c", "--ultra", "--long=28", "-1"], &tar_of_300_mib())) => "damaged";
}

accepted! {
    two_gzip_members_are_one_stream: tar_gz(split(&tar(), gzip)) => ["f 644 f x"];
    two_zstd_frames_are_one_stream: tar_zst(split(&tar(), zstd)) => ["f 644 f x"];
    two_xz_streams_are_one_stream: tar_xz(split(&tar(), xz)) => ["f 644 f x"];
    a_gzip_member_of_nothing_is_passed_over:
        tar_gz([gzip(&tar()), gzip(b""), gzip(&[0; 512])].concat()) => ["f 644 f x"];
}

/// Large enough that zstd keeps a window of 256 MiB when asked to.
fn tar_of_300_mib() -> Vec<u8> {
    Tar::new().file("f", vec![0; 300 << 20]).end().0
}
