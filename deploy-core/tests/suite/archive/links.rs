//! Links that leave the release, and those that stay.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::jail::Jail;
use super::tar_builder::{Header, LINK, Tar};

fn link(target: &str) -> super::jail::Package {
    Tar::new().directory("d").symlink("d/l", target).package()
}

fn chain(links: usize) -> super::jail::Package {
    (0..links)
        .fold(Tar::new(), |tar, i| tar.symlink(format!("l{i:02}"), format!("l{:02}", i + 1)))
        .package()
}

refused! {
    sec_c03_an_absolute_link_is_refused: link("/etc/passwd") => "escapes";
    sec_c03_a_link_out_is_refused: link("../../secret") => "escapes";
    sec_c03_a_link_to_the_directory_above_the_release_is_refused: link("../..") => "escapes";
    sec_c03_a_link_that_leaves_and_returns_is_refused: link("../../inside/d") => "escapes";
    sec_c03_a_link_with_a_backslash_is_refused: link("..\\..\\secret") => "escapes";
    sec_c03_a_link_to_nothing_is_refused: link("") => "forbidden";
    sec_c03_a_link_with_a_control_character_is_refused: link("a\x1bb") => "forbidden";
    sec_c03_two_links_that_leave_together_are_refused:
        Tar::new().directory("d/e").symlink("d/e/up", "..").symlink("l", "d/e/up/../..").package() => "escapes";
    sec_c03_a_link_that_climbs_from_a_place_not_yet_there_is_refused: link("shared/../../d") => "escapes";
    sec_c03_a_chain_of_41_links_is_refused: chain(41) => "escapes";
    sec_c03_a_circle_of_links_is_refused: Tar::new().symlink("a", "b").symlink("b", "a").package() => "escapes";
    sec_c03_a_file_through_a_link_is_refused:
        Tar::new().symlink("l", "d").directory("d").file("l/f", "x").package() => "escapes";
    sec_c03_a_file_through_a_link_out_is_refused:
        Tar::new().symlink("l", "../..").file("l/secret", "x").package() => "escapes";
    sec_c03_a_file_in_place_of_a_link_is_refused:
        Tar::new().symlink("l", "d").file("l", "x").package() => "duplicate";
    sec_c03_a_link_in_place_of_a_directory_is_refused:
        Tar::new().file("d/f", "x").symlink("d", "..").package() => "duplicate";
    sec_c03_a_link_in_place_of_the_release_is_refused: Tar::new().symlink(".", "..").package() => "duplicate";
    sec_c03_a_link_at_dot_dot_is_refused: Tar::new().symlink("..", "x").package() => "escapes";
    sec_c03_a_link_with_content_is_refused:
        Tar::new().entry(Header::new("l", b'2', 1).set(LINK, "d"), "x").package() => "damaged";
    sec_c04_a_directory_in_place_of_a_link_is_refused:
        Tar::new().symlink("l", "../..").entry(Header::new("l", b'5', 0).mode(0o777), "").package() => "duplicate";
    sec_c04_a_directory_through_a_link_is_refused:
        Tar::new().symlink("l", ".").directory("l/d").package() => "escapes";
    sec_c03_a_hard_link_out_is_refused: Tar::new().hardlink("h", "../secret").package() => "escapes";
    sec_c03_an_absolute_hard_link_is_refused: Tar::new().hardlink("h", "/etc/passwd").package() => "escapes";
    sec_c03_a_hard_link_to_a_later_file_is_refused:
        Tar::new().hardlink("h", "f").file("f", "x").package() => "forbidden";
    sec_c03_a_hard_link_to_itself_is_refused: Tar::new().hardlink("h", "h").package() => "forbidden";
    sec_c03_a_hard_link_to_a_directory_is_refused:
        Tar::new().directory("d").hardlink("h", "d").package() => "forbidden";
    sec_c03_a_hard_link_to_a_link_is_refused:
        Tar::new().symlink("l", "f").file("f", "x").hardlink("h", "l").package() => "forbidden";
    sec_c03_a_hard_link_through_a_link_is_refused:
        Tar::new().file("d/f", "x").symlink("l", "d").hardlink("h", "l/f").package() => "forbidden";
    sec_c03_a_hard_link_in_place_of_a_file_is_refused:
        Tar::new().file("a", "x").file("b", "x").hardlink("b", "a").package() => "duplicate";
    sec_c03_a_hard_link_with_content_is_refused:
        Tar::new().file("a", "x").entry(Header::new("b", b'1', 1).set(LINK, "a"), "y").package() => "damaged";
}

accepted! {
    links_inside_are_laid_down:
        Tar::new().symlink("now", "d/f").file("d/f", "x").symlink("d/up", "..").symlink("far", "d/up/d/f").package() =>
        ["d 755 d", "f 644 d/f x", "l d/up -> ..", "l far -> d/up/d/f", "l now -> d/f"];
    a_link_to_what_is_not_there_yet_is_laid_down: link("../shared/log") =>
        ["d 755 d", "l d/l -> ../shared/log"];
    a_link_above_its_own_directory_but_inside_is_laid_down: link("..") => ["d 755 d", "l d/l -> .."];
}

#[test]
fn a_chain_of_40_links_is_laid_down() {
    let contents = Jail::new().unpack(&chain(40)).unwrap();
    assert_eq!((contents.entries, contents.files), (40, 0));
}

#[test]
fn a_hard_link_shares_its_file() {
    let tar = Tar::new().file("d/f", "x").hardlink("h", "./d/f").hardlink("i", "h");
    let jail = Jail::new();
    let contents = jail.unpack(&tar.package()).unwrap();
    assert_eq!((contents.entries, contents.files), (4, 3));
    assert_eq!(contents.unpacked_bytes, 1);
    let inode = |name| fs::metadata(jail.inside().join(name)).unwrap().ino();
    assert_eq!(inode("h"), inode("d/f"));
    assert_eq!(inode("i"), inode("d/f"));
}
