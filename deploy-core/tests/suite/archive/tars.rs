//! Tar headers that lie, and kinds no package may hold.

use super::jail::{Jail, Package};
use super::tar_builder::{Header, LINK, MAGIC, REAL_SIZE, SIZE, Tar, record};

fn of_kind(kind: u8) -> Package {
    Tar::new().entry(Header::new("e", kind, 0), "").package()
}

fn of_mode(mode: u32) -> Package {
    Tar::new().entry(Header::new("f", b'0', 1).mode(mode), "x").package()
}

fn of_size(field: impl AsRef<[u8]>) -> Package {
    Tar::new().entry(Header::new("f", b'0', 1).set(SIZE, field), "x").package()
}

/// The nested tar of TARmageddon: whoever takes the header's size sees `inner` as an entry.
fn pax_size(size: &str) -> Package {
    let inner = Tar::new().file("inner", "x").0;
    Tar::new().pax(&[("size", size)]).file("outer", inner).package()
}

fn pax(records: &[(&str, &str)]) -> Package {
    Tar::new().pax(records).file("f", "x").package()
}

fn global(key: &str) -> Package {
    Tar::new().pax_raw(b'g', record(key, "1")).file("f", "x").package()
}

fn wrong_checksum() -> Package {
    let mut package = Tar::new().file("a", "x").file("f", "x").package();
    package.bytes[1024] = b'g';
    package
}

fn long_name(name: &str) -> Tar {
    Tar::new().long_name(name)
}

refused! {
    sec_c03_a_character_device_is_refused: of_kind(b'3') => "forbidden";
    sec_c03_a_block_device_is_refused: of_kind(b'4') => "forbidden";
    sec_c03_a_fifo_is_refused: of_kind(b'6') => "forbidden";
    sec_c03_a_volume_header_is_refused: of_kind(b'V') => "forbidden";
    sec_c03_a_continued_file_is_refused: of_kind(b'M') => "forbidden";
    sec_c03_a_dump_directory_is_refused: of_kind(b'D') => "forbidden";
    sec_c03_a_solaris_extension_is_refused: of_kind(b'X') => "forbidden";
    sec_c03_an_unknown_kind_is_refused: of_kind(b'\xff') => "forbidden";
    sec_c03_an_old_gnu_sparse_file_is_refused:
        Tar::new().entry(Header::new("f", b'S', 0).set(MAGIC, "ustar  \0").set(REAL_SIZE, "77777777777"), "").package()
        => "forbidden";
    sec_c03_a_pax_sparse_file_is_refused:
        pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "1000000")]) => "forbidden";
    sec_c03_a_sparse_name_is_refused: pax(&[("GNU.sparse.name", "../x")]) => "forbidden";
    sec_c04_a_pax_size_of_zero_is_refused: pax_size("0") => "damaged";
    sec_c04_a_pax_size_below_the_header_is_refused: pax_size("512") => "damaged";
    sec_c04_a_pax_size_above_the_header_is_refused: pax_size("2048") => "damaged";
    sec_c05_a_header_size_of_zero_under_a_pax_size_is_refused:
        Tar::new().pax(&[("size", "1024")]).entry(Header::new("outer", b'0', 0), "").file("inner", "x").package() => "damaged";
    sec_c05_a_pax_size_between_two_extensions_is_refused:
        Tar::new().pax(&[("size", "1024")]).long_name("n\0").file("f", "x").package() => "damaged";
    sec_c04_a_pax_size_that_overflows_is_refused: pax_size("18446744073709551616") => "damaged";
    sec_c04_a_pax_size_at_the_end_of_numbers_is_refused: pax_size("18446744073709551615") => "too many bytes in one file";
    sec_c04_a_negative_pax_size_is_refused: pax_size("-1") => "damaged";
    sec_c04_a_signed_pax_size_is_refused: pax_size("+1024") => "damaged";
    sec_c04_a_blank_pax_size_is_refused: pax_size("") => "damaged";
    sec_c04_two_pax_sizes_are_refused: pax(&[("size", "1"), ("size", "1")]) => "damaged";
    sec_c04_two_pax_paths_are_refused: pax(&[("path", "a"), ("path", "b")]) => "damaged";
    sec_c04_two_pax_headers_are_refused:
        Tar::new().pax(&[("path", "a")]).pax(&[("mtime", "1")]).file("f", "x").package() => "damaged";
    sec_c04_a_pax_path_and_a_long_name_are_refused:
        Tar::new().long_name("a\0").pax(&[("path", "b")]).file("f", "x").package() => "damaged";
    sec_c04_an_empty_pax_path_is_refused: pax(&[("path", "")]) => "forbidden";
    sec_c04_a_malformed_pax_record_is_refused:
        Tar::new().pax_raw(b'x', b"99 path=a\n".to_vec()).file("f", "x").package() => "damaged";
    sec_c04_a_pax_header_without_an_entry_is_refused: Tar::new().pax(&[("path", "a")]).package() => "damaged";
    sec_c04_a_global_path_is_refused: global("path") => "damaged";
    sec_c04_a_global_link_path_is_refused: global("linkpath") => "damaged";
    sec_c04_a_global_size_is_refused: global("size") => "damaged";
    sec_c04_a_global_map_of_holes_is_refused: global("GNU.sparse.map") => "damaged";
    sec_c04_a_global_header_before_an_entry_with_extensions_is_refused:
        Tar::new().pax(&[("path", "a")]).pax_raw(b'g', record("comment", "c")).file("f", "x").package() => "damaged";
    sec_c06_a_pax_header_of_two_mib_is_refused:
        Tar::new().pax(&[("comment", &"c".repeat(2 << 20))]).file("f", "x").package()
        => "too many bytes in one extension header";
    sec_c06_a_pax_header_of_eight_gib_is_refused:
        Tar::new().entry(Header::new("p", b'x', 0).set(SIZE, "77777777777\0"), "").package()
        => "too many bytes in one extension header";
    sec_c06_a_long_name_of_eight_gib_is_refused:
        Tar::new().entry(Header::new("p", b'L', 0).set(SIZE, "77777777777\0"), "").package()
        => "too many bytes in one path";
    sec_c04_a_truncated_long_name_is_refused:
        Tar::new().entry(Header::new("p", b'L', 2000), "a\0").unfinished() => "damaged";
    sec_c04_two_long_names_are_refused: long_name("a\0").long_name("b\0").file("f", "x").package() => "damaged";
    sec_c04_an_unterminated_long_name_is_refused: long_name("abc").file("f", "x").package() => "damaged";
    sec_c04_a_long_name_with_a_tail_is_refused: long_name("abc\0../x\0").file("f", "x").package() => "damaged";
    sec_c04_a_long_name_without_an_entry_is_refused: long_name("abc\0").package() => "damaged";
    sec_c04_a_long_name_in_a_header_without_a_dialect_is_refused:
        Tar::new().entry(Header::new("p", b'L', 2).set(MAGIC, ""), "a\0").file("f", "x").package() => "forbidden";
    sec_c04_an_unknown_dialect_is_refused:
        Tar::new().entry(Header::new("f", b'0', 0).set(MAGIC, "ustar\x0099"), "").package() => "damaged";
    sec_c04_a_negative_size_is_refused: of_size([0xff; 12]) => "damaged";
    sec_c04_a_size_beyond_64_bits_is_refused: of_size(b"\x80\0\0\x01\0\0\0\0\0\0\0\x01") => "damaged";
    sec_c04_a_size_of_64_bits_is_refused:
        of_size(b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff") => "too many bytes in one file";
    sec_c04_a_blank_size_is_refused: of_size("") => "damaged";
    sec_c04_a_size_that_is_no_number_is_refused: of_size("0000000009x\0") => "damaged";
    sec_c04_a_size_beyond_the_package_is_refused: of_size("00000010000\0") => "damaged";
    sec_c04_a_directory_with_content_is_refused:
        Tar::new().entry(Header::new("d", b'5', 512), [b'x'; 512]).package() => "damaged";
    sec_c04_a_file_named_as_a_directory_with_content_is_refused: Tar::new().file("d/", "x").package() => "damaged";
    sec_c04_a_wrong_checksum_is_refused: wrong_checksum() => "damaged";
    sec_c04_missing_end_blocks_are_refused: Tar::new().file("f", "x").unfinished() => "damaged";
    sec_c04_a_lone_end_block_is_refused: Tar::new().file("f", "x").bytes([0; 512]).unfinished() => "damaged";
    sec_c04_a_lone_zero_block_between_entries_is_refused:
        Tar::new().file("f", "x").bytes([0; 512]).file("g", "x").package() => "damaged";
    sec_c04_a_truncated_header_is_refused: Tar::new().file("f", "x").bytes([b'x'; 100]).unfinished() => "damaged";
    sec_c04_trailing_garbage_is_refused: Tar::new().file("f", "x").end().bytes("garbage").unfinished() => "damaged";
    sec_c04_concatenated_tars_are_refused:
        Tar::new().file("f", "x").end().file("g", "x").package() => "damaged";
}

accepted! {
    sec_c07_setuid_is_dropped: of_mode(0o4755) => ["f 755 f x"];
    sec_c07_setgid_is_dropped: of_mode(0o2755) => ["f 755 f x"];
    sec_c07_sticky_is_dropped: of_mode(0o1644) => ["f 644 f x"];
    sec_c07_all_bits_at_once_are_cut: of_mode(0o7777) => ["f 755 f x"];
    sec_c07_a_mode_of_zero_stays_readable_for_its_owner: of_mode(0) => ["f 600 f x"];
    sec_c07_modes_of_directories_are_not_taken:
        Tar::new().entry(Header::new("d", b'5', 0).mode(0o7000), "").file("d/f", "x").package() =>
        ["d 755 d", "f 644 d/f x"];
    a_pax_path_replaces_the_name: pax(&[("path", "d/g"), ("mtime", "1.5"), ("comment", "a\nb")]) =>
        ["d 755 d", "f 644 d/g x"];
    a_pax_size_that_repeats_the_header_is_taken: pax(&[("size", "1")]) => ["f 644 f x"];
    a_pax_link_path_replaces_the_target:
        Tar::new().file("f", "x").pax(&[("linkpath", "f")]).symlink("l", "../x").package() =>
        ["f 644 f x", "l l -> f"];
    a_gnu_long_link_replaces_the_target:
        Tar::new().entry(Header::new("././@LongLink", b'K', 2), "f\0").symlink("l", "../x").package() =>
        ["l l -> f"];
    a_size_in_base_256_is_read: of_size(b"\x80\0\0\0\0\0\0\0\0\0\0\x01") => ["f 644 f x"];
    a_global_comment_is_passed_over: global("comment") => ["f 644 f x"];
    a_header_without_a_dialect_is_read:
        Tar::new().entry(Header::new("f", 0, 1).set(MAGIC, ""), "x").entry(Header::new("d/", 0, 0).set(MAGIC, ""), "")
            .entry(Header::new("l", b'2', 0).set(MAGIC, "").set(LINK, "f"), "").package() =>
        ["d 755 d", "f 644 f x", "l l -> f"];
    padding_behind_the_end_is_passed_over:
        Tar::new().file("f", "x").end().bytes([0; 20 * 512]).unfinished() => ["f 644 f x"];
}

#[test]
fn modes_are_plain_when_a_tool_makes_the_same_of_them() {
    let of_directory = |mode| {
        Tar::new().entry(Header::new("d", b'5', 0).mode(mode), "").file("d/f", "x").package()
    };
    for (package, plain) in [
        (of_mode(0o644), true),
        (of_mode(0o755), true),
        (of_mode(0o600), true),
        (of_mode(0o664), false),
        (of_mode(0o666), false),
        (of_mode(0o444), false),
        (of_mode(0), false),
        (of_mode(0o4755), false),
        (of_mode(0o2755), false),
        (of_mode(0o1644), false),
        (of_directory(0o755), true),
        (of_directory(0o700), true),
        (of_directory(0o775), false),
        (of_directory(0o500), false),
        (of_directory(0o1755), false),
    ] {
        let contents = Jail::new().unpack(&package).unwrap();
        assert_eq!(contents.plain_modes, plain, "{package:?}");
    }
}
