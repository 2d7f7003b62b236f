//! Packages made by the tools that people make them with.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use deploy_core::model::{Digests, PackageDigests, PackageSource, PackageUrl};
use deploy_core::{FnVerifier, VerifiedPackage};
use tempfile::TempDir;

/// A package in a file.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    _dir: Arc<TempDir>,
    pub(crate) path: PathBuf,
    pub(crate) source: PackageSource,
    pub(crate) digests: PackageDigests,
}

impl Package {
    pub(crate) fn of_file(dir: TempDir, path: PathBuf) -> Self {
        let mut digests = Digests::new();
        digests.update(&fs::read(&path).unwrap());
        let digests = digests.finish();
        let url = format!("file://{}", path.display());
        let source =
            PackageSource::new(PackageUrl::new(&url).unwrap(), digests.md5).pinned(&digests);
        Self { _dir: Arc::new(dir), path, source, digests }
    }

    /// Packs files by a command that has the files' directory as its own and `$1` as its output.
    pub(crate) fn packed(name: &str, files: &[(&str, &str)], pack: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        for (path, text) in files {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let path = dir.path().join(name);
        let status = Command::new("sh")
            .args(["-c", pack, "pack"])
            .arg(&path)
            .current_dir(&tree)
            .status()
            .unwrap();
        assert!(status.success(), "{pack}; apt-get install tar gzip zstd xz-utils zip");
        Self::of_file(dir, path)
    }

    /// A `.tar.gz` of some files.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self::packed("app.tar.gz", files, "tar -czf \"$1\" *")
    }

    /// A package that says which version it is.
    pub(crate) fn version(version: &str) -> Self {
        Self::of(&[("version", version), ("bin/start", "#!/bin/sh\n")])
    }

    pub(crate) fn verifier(&self) -> FnVerifier {
        let package = self.clone();
        FnVerifier::new(move |_cx, source| {
            let name = source.url.file_name();
            let package = package.clone();
            async move {
                let file = Arc::new(File::open(&package.path).unwrap());
                Ok(VerifiedPackage::new(file, package.digests, name))
            }
        })
    }
}
