//! Which format a package is taken for.

use std::fs;
use std::io::{Seek as _, SeekFrom};
use std::os::unix::fs::symlink;

use deploy_core::archive::{
    ArchiveError, Interrupt, PackageContents, PackageFormat, UnpackLimits, inspect, unpack,
};

use super::jail::{Jail, Package};
use super::tar_builder::{Tar, gzip, zstd};
use super::zip_builder::{Entry, Zip};

fn tar() -> Vec<u8> {
    Tar::new().file("f", "x").end().0
}

fn zip() -> Vec<u8> {
    Zip::of([Entry::stored("f", "x")]).build()
}

fn inspected(name: &str, bytes: &[u8]) -> Result<PackageContents, ArchiveError> {
    let file = Package::new(name, bytes.to_vec()).file();
    inspect(&file, name, &UnpackLimits::default(), &Interrupt::new())
}

#[test]
fn the_bytes_decide_whatever_the_name() {
    let xz = super::benign::filter("xz", &["-c"], &tar());
    for (bytes, format) in [
        (tar(), PackageFormat::Tar),
        (gzip(&tar()), PackageFormat::TarGz),
        (zstd(&tar()), PackageFormat::TarZst),
        (xz, PackageFormat::TarXz),
        (zip(), PackageFormat::Zip),
        (Zip::of([]).build(), PackageFormat::Zip),
        (b"#!/bin/sh\n".to_vec(), PackageFormat::SingleFile),
        (gzip(b"no tar"), PackageFormat::SingleFile),
        (zstd(&[b'x'; 4096]), PackageFormat::SingleFile),
        (b"\x1f\x8b only looks like gzip".to_vec(), PackageFormat::SingleFile),
        (vec![0; 4096], PackageFormat::SingleFile),
        (Vec::new(), PackageFormat::SingleFile),
    ] {
        for name in ["download", "app.bin", "app.gz", "app.jar.gz"] {
            let contents = inspected(name, &bytes).unwrap();
            assert_eq!(contents.format, format, "{name}");
        }
    }
    for name in ["app.tar", "app.tar.gz", "app.tgz", "app.txz", "app.zip"] {
        assert_eq!(inspected(name, &zip()).unwrap().format, PackageFormat::Zip);
        assert_eq!(inspected(name, &tar()).unwrap().format, PackageFormat::Tar);
    }
}

#[test]
fn a_zip_named_as_a_program_is_a_single_file() {
    for name in ["app.jar", "App.JAR", "app.war", "app.ear"] {
        let contents = inspected(name, &zip()).unwrap();
        assert_eq!(contents.format, PackageFormat::SingleFile, "{name}");
    }
}

#[test]
fn a_name_that_promises_an_archive_has_to_keep_it() {
    for name in ["a.tar", "a.tar.gz", "a.TGZ", "a.tar.zst", "a.tzst", "a.tar.xz", "a.txz", "a.zip"]
    {
        for bytes in [
            &b"<html>not found</html>"[..],
            b"",
            &gzip(b"no tar"),
            b"\x1f\x8b only looks like gzip",
            &[b"junk", &zip()[..]].concat(),
        ] {
            let error = inspected(name, bytes).unwrap_err();
            assert!(matches!(error, ArchiveError::Damaged { .. }), "{name}: {error}");
        }
    }
    assert_eq!(inspected("empty.tar", &[0; 1024]).unwrap().entries, 0);
}

accepted! {
    a_single_file_is_laid_down_executable: Package::new("app", b"#!/bin/sh\n".to_vec()) => ["f 755 app #!/bin/sh"];
    an_empty_file_is_a_package: Package::new("app", Vec::new()) => ["f 755 app"];
    an_empty_zip_is_an_empty_release: Zip::of([]).package() => [];
    an_empty_tar_is_an_empty_release: Tar::new().package() => [];
}

refused! {
    sec_c03_a_single_file_named_dot_dot_is_refused: Package::new("..", b"x".to_vec()) => "escapes";
    sec_c03_a_single_file_named_dot_is_refused: Package::new(".", b"x".to_vec()) => "escapes";
    sec_c03_a_single_file_without_a_name_is_refused: Package::new("", b"x".to_vec()) => "escapes";
    sec_c03_a_single_file_with_a_slash_is_refused: Package::new("a/b", b"x".to_vec()) => "escapes";
    sec_c03_a_single_file_with_a_slash_at_its_end_is_refused: Package::new("a/", b"x".to_vec()) => "escapes";
    sec_c03_an_absolute_single_file_is_refused: Package::new("/etc/passwd", b"x".to_vec()) => "escapes";
    sec_c03_a_single_file_with_a_backslash_is_refused: Package::new("a\\b", b"x".to_vec()) => "escapes";
    sec_c03_a_single_file_with_a_line_feed_is_refused: Package::new("a\nb", b"x".to_vec()) => "forbidden";
}

#[test]
fn the_cursor_of_the_file_is_neither_used_nor_moved() {
    let package = Package::new("app.tar.gz", gzip(&tar()));
    let mut file = package.file();
    file.seek(SeekFrom::Start(3)).unwrap();
    let jail = Jail::new();
    let (limits, interrupt) = (UnpackLimits::default(), Interrupt::new());
    inspect(&file, &package.name, &limits, &interrupt).unwrap();
    unpack(&file, &package.name, &jail.inside(), &limits, &interrupt).unwrap();
    assert_eq!(file.stream_position().unwrap(), 3);
}

#[test]
fn a_directory_that_is_not_empty_is_refused() {
    let jail = Jail::new();
    fs::write(jail.inside().join("g"), "theirs").unwrap();
    let error = jail.unpack(&Package::new("app.tar", tar())).unwrap_err();
    assert!(matches!(error, ArchiveError::Io { .. }), "{error}");
    assert_eq!(super::jail::tree(&jail.inside()), ["f 644 g theirs"]);
}

#[test]
fn sec_c03_a_link_in_place_of_the_directory_is_not_followed() {
    let jail = Jail::new();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::remove_dir(jail.inside()).unwrap();
    symlink(elsewhere.path(), jail.inside()).unwrap();
    let file = Package::new("app.tar", tar()).file();
    let (limits, interrupt) = (UnpackLimits::default(), Interrupt::new());
    let error = unpack(&file, "app.tar", &jail.inside(), &limits, &interrupt).unwrap_err();
    assert!(matches!(error, ArchiveError::Io { .. }), "{error}");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn a_missing_directory_is_named() {
    let file = Package::new("app.tar", tar()).file();
    let into = std::path::Path::new("/nowhere/at/all");
    let error = unpack(&file, "app.tar", into, &UnpackLimits::default(), &Interrupt::new());
    assert_eq!(error.unwrap_err().to_string(), "failed to access \"/nowhere/at/all\"");
}
