//! Names that could lead outside, and names that only look as if.

use super::tar_builder::{Header, MAGIC, PREFIX, Tar};

fn named(name: impl AsRef<[u8]>) -> super::jail::Package {
    Tar::new().file(name, "x").package()
}

/// A name that no header has room for.
fn long(name: &str) -> super::jail::Package {
    Tar::new().pax(&[("path", name)]).file("short", "x").package()
}

refused! {
    sec_c03_an_absolute_path_is_refused: named("/etc/passwd") => "escapes";
    sec_c03_a_path_of_two_slashes_is_refused: named("//etc/passwd") => "escapes";
    sec_c03_a_path_that_begins_with_dot_dot_is_refused: named("../secret") => "escapes";
    sec_c03_a_path_with_dot_dot_inside_is_refused: named("a/../../secret") => "escapes";
    sec_c03_a_path_with_a_harmless_dot_dot_is_refused: named("a/../b") => "escapes";
    sec_c03_a_path_that_ends_with_dot_dot_is_refused: named("a/..") => "escapes";
    sec_c03_a_directory_named_dot_dot_is_refused: Tar::new().directory("../x").package() => "escapes";
    sec_c03_a_backslash_is_refused: named("a\\..\\x") => "escapes";
    sec_c03_a_drive_letter_is_refused: named("C:x") => "escapes";
    sec_c03_a_drive_letter_with_a_backslash_is_refused: named("C:\\x") => "escapes";
    sec_c03_a_nul_in_a_pax_path_is_refused: long("a\0b") => "forbidden";
    sec_c03_a_line_feed_is_refused: named("a\nb") => "forbidden";
    sec_c03_an_escape_sequence_is_refused: named("\x1b[2Ja") => "forbidden";
    sec_c03_a_name_that_is_not_utf8_is_refused: named(b"a\xff") => "forbidden";
    sec_c03_an_empty_name_is_refused: named("") => "forbidden";
    sec_c03_a_file_named_dot_is_refused: named(".") => "duplicate";
    sec_c03_an_absolute_pax_path_is_refused: long("/etc/passwd") => "escapes";
    sec_c03_a_pax_path_with_dot_dot_is_refused: long("../secret") => "escapes";
    sec_c03_a_gnu_long_name_with_dot_dot_is_refused:
        Tar::new().long_name("../secret\0").file("short", "x").package() => "escapes";
    sec_c03_a_prefix_with_dot_dot_is_refused:
        Tar::new().entry(Header::new("secret", b'0', 0).set(PREFIX, ".."), "").package() => "escapes";
    sec_c03_an_absolute_prefix_is_refused:
        Tar::new().entry(Header::new("f", b'0', 0).set(PREFIX, "/etc"), "").package() => "escapes";
    sec_c06_a_path_of_4097_bytes_is_refused: long(&"abcdefg/".repeat(513)[..4097]) => "too many bytes in one path";
    sec_c06_a_path_of_depth_2000_is_refused: long(&["d"; 2000].join("/")) => "too many components in one path";
    sec_c06_a_name_of_256_bytes_is_refused: long(&"n".repeat(256)) => "too many bytes in one name";
    sec_c06_a_path_of_depth_65_is_refused: long(&["d"; 65].join("/")) => "too many components in one path";
    sec_c03_a_file_twice_is_refused: Tar::new().file("a", "1").file("a", "2").package() => "duplicate";
    sec_c03_a_file_twice_in_two_spellings_is_refused:
        Tar::new().file("d/a", "1").file("./d//a", "2").package() => "duplicate";
    sec_c03_a_directory_in_place_of_a_file_is_refused:
        Tar::new().file("a", "1").directory("a").package() => "duplicate";
    sec_c03_a_file_in_place_of_a_directory_is_refused:
        Tar::new().directory("a").file("a", "1").package() => "duplicate";
    sec_c03_a_file_in_place_of_an_implied_directory_is_refused:
        Tar::new().file("a/b", "1").file("a", "1").package() => "duplicate";
    sec_c03_a_file_below_a_file_is_refused:
        Tar::new().file("a", "1").file("a/b", "1").package() => "duplicate";
}

accepted! {
    a_trailing_dot_and_a_trailing_space_are_plain_letters: named("a. /b.") =>
        ["d 755 a. ", "f 644 a. /b. x"];
    three_dots_are_a_name: named(".../..a") => ["d 755 ...", "f 644 .../..a x"];
    names_are_brought_into_normal_form: named("./a//./b") => ["d 755 a", "f 644 a/b x"];
    the_root_may_be_listed: Tar::new().directory("./").file("./a", "x").package() => ["f 644 a x"];
    a_directory_may_be_listed_twice:
        Tar::new().directory("d").file("d/a", "x").directory("d/").package() =>
        ["d 755 d", "f 644 d/a x"];
    bytes_behind_the_nul_of_a_name_are_no_name: named("a\0/../x") => ["f 644 a x"];
    a_prefix_of_gnu_tar_is_no_prefix:
        Tar::new().entry(Header::new("a", b'0', 0).set(MAGIC, "ustar  \0").set(PREFIX, "p"), "").package() =>
        ["f 644 a"];
    names_are_utf8: named("ü/ß") => ["d 755 ü", "f 644 ü/ß x"];
}
