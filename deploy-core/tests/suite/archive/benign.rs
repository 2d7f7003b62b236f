//! What the usual tools pack is laid out as they packed it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::jail::{Jail, Package, tree};

const INSTALL: &str = "apt-get install tar gzip xz-utils zstd zip python3";

/// Runs a tool with `input` and gives back what it wrote.
pub(crate) fn filter(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    run(Path::new("."), program, arguments, input)
}

fn run(directory: &Path, program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let output = output(directory, program, arguments, input);
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    output.stdout
}

/// Runs a tool in a directory, whatever it thinks of its input.
pub(crate) fn output(directory: &Path, program: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}; {INSTALL}"));
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A tool need not read to the end.
        scope.spawn(move || stdin.write_all(input).ok());
        child.wait_with_output().unwrap()
    })
}

/// A tree with everything a release may hold.
fn source() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let path = root.path();
    let deep = "a-rather-long-directory-name/".repeat(9);
    for directory in ["d/e/empty", "with space", &deep] {
        fs::create_dir_all(path.join(directory)).unwrap();
    }
    let noise: String =
        (0..40_000).map(|i: u32| format!("{:x}", i.wrapping_mul(2_654_435_761))).collect();
    for (name, content) in [
        ("d/f", "hello"),
        ("d/empty file", ""),
        ("d/e/large", noise.as_str()),
        ("with space/ü", "ß"),
        (&format!("{deep}{}", "n".repeat(120)), "deep"),
        ("run", "#!/bin/sh\n"),
    ] {
        fs::write(path.join(name), content).unwrap();
    }
    symlink("d/f", path.join("l")).unwrap();
    symlink(format!("{deep}{}", "n".repeat(120)), path.join("far")).unwrap();
    symlink("../with space", path.join("d/up")).unwrap();
    for entry in tree(path) {
        let mut words = entry.splitn(3, ' ');
        let mode = match words.next().unwrap() {
            "d" => 0o755,
            "f" => 0o644,
            _ => continue,
        };
        let name = words.nth(1).unwrap();
        let name = if mode == 0o644 { file_of(path, name) } else { name.into() };
        fs::set_permissions(path.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(path.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    root
}

/// The name of a file at the beginning of `name content`.
fn file_of(root: &Path, line: &str) -> String {
    let ends = line.match_indices(' ').map(|(at, _)| at).chain([line.len()]);
    let mut names = ends.map(|end| &line[..end]);
    let name = names.find(|name| root.join(name).symlink_metadata().is_ok_and(|m| m.is_file()));
    name.unwrap_or_else(|| panic!("{line}")).into()
}

/// Packs the source with a tool and compares what is laid out.
#[track_caller]
fn assert_round_trip(name: &str, program: &str, arguments: &[&str]) {
    let source = source();
    let bytes = run(source.path(), program, arguments, b"");
    let jail = Jail::new();
    let contents = jail.unpack(&Package::new(name, bytes)).unwrap();
    let expected = tree(source.path());
    assert_eq!(tree(&jail.inside()), expected);
    assert_eq!(contents.entries, expected.len() as u64);
}

#[test]
fn gnu_tar_in_gnu_format_is_laid_out_as_packed() {
    assert_round_trip("app.tar", "tar", &["--format=gnu", "-cf", "-", "."]);
}

#[test]
fn gnu_tar_in_pax_format_is_laid_out_as_packed() {
    assert_round_trip("app.tar", "tar", &["--format=posix", "-cf", "-", "."]);
}

#[test]
fn gnu_tar_in_old_gnu_format_is_laid_out_as_packed() {
    assert_round_trip("app.tar", "tar", &["--format=oldgnu", "-cf", "-", "."]);
}

#[test]
fn gnu_tar_with_large_records_is_laid_out_as_packed() {
    assert_round_trip("app.tar", "tar", &["-b", "2048", "-cf", "-", "."]);
}

#[test]
fn gnu_tar_with_gzip_is_laid_out_as_packed() {
    assert_round_trip("app.tar.gz", "tar", &["-czf", "-", "."]);
}

#[test]
fn gnu_tar_with_zstd_is_laid_out_as_packed() {
    assert_round_trip("app.tar.zst", "tar", &["--zstd", "-cf", "-", "."]);
}

#[test]
fn gnu_tar_with_xz_is_laid_out_as_packed() {
    assert_round_trip("app.tar.xz", "tar", &["-cJf", "-", "."]);
}

#[test]
fn python_tar_is_laid_out_as_packed() {
    for format in ["GNU_FORMAT", "PAX_FORMAT"] {
        let script = format!(
            "import sys, tarfile
with tarfile.open(fileobj=sys.stdout.buffer, mode='w|gz', format=tarfile.{format}) as tar:
    tar.add('.')"
        );
        assert_round_trip("app.tgz", "python3", &["-c", &script]);
    }
}

#[test]
fn info_zip_is_laid_out_as_packed() {
    for level in ["-0", "-9"] {
        // It neither stores a file nor a link to a pipe.
        let script =
            format!("o=$(mktemp -d) && zip -qry {level} $o/z.zip . && cat $o/z.zip && rm -r $o");
        assert_round_trip("app.zip", "sh", &["-c", &script]);
    }
}

#[test]
fn a_zip_that_python_made_is_laid_out_as_packed() {
    let source = source();
    for link in ["l", "far", "d/up"] {
        fs::remove_file(source.path().join(link)).unwrap();
    }
    // To a pipe, so that sizes follow the content; to a buffer, so that they precede it.
    for target in ["sys.stdout.buffer", "io.BytesIO()"] {
        let script = format!(
            "import io, os, sys, zipfile
out = {target}
with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as z:
    for root, directories, files in os.walk('.'):
        for name in directories + files:
            z.write(os.path.join(root, name))
if isinstance(out, io.BytesIO):
    sys.stdout.buffer.write(out.getvalue())"
        );
        let bytes = run(source.path(), "python3", &["-c", &script], b"");
        let jail = Jail::new();
        jail.unpack(&Package::new("app.zip", bytes)).unwrap();
        assert_eq!(tree(&jail.inside()), tree(source.path()));
    }
}

#[test]
fn hard_links_of_gnu_tar_share_their_file() {
    let source = source();
    fs::hard_link(source.path().join("d/f"), source.path().join("h")).unwrap();
    let bytes = run(source.path(), "tar", &["-cf", "-", "."], b"");
    let jail = Jail::new();
    jail.unpack(&Package::new("app.tar", bytes)).unwrap();
    assert_eq!(tree(&jail.inside()), tree(source.path()));
}

#[test]
fn sec_c03_a_sparse_file_of_gnu_tar_is_refused() {
    for format in ["--format=gnu", "--format=posix"] {
        let source = tempfile::tempdir().unwrap();
        let file = fs::File::create(source.path().join("sparse")).unwrap();
        file.set_len(1 << 20).unwrap();
        let bytes = run(source.path(), "tar", &[format, "--sparse", "-cf", "-", "."], b"");
        super::jail::assert_refused(&Package::new("app.tar", bytes), "forbidden");
    }
}
