//! Packages of about 1,000 files, and the verifier that gives one of them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use deploy_core::model::{Digests, PackageDigests, PackageSource, PackageUrl};
use deploy_core::{FnVerifier, VerifiedPackage};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// A package in a file.
#[derive(Clone, Debug)]
pub struct Package {
    /// Where it is.
    pub path: PathBuf,
    /// What its bytes are.
    pub digests: PackageDigests,
}

/// Files of mostly random bytes, with the text between them that makes code compress a little.
const PACK: &str = r#"
set -e
mkdir "$1/src"
cd "$1/src"
for n in $(seq 1 1000); do
    mkdir -p "d$((n % 40))"
    { head -c "$2" /dev/urandom; seq "$n" "$((n + $2 / 100))"; } > "d$((n % 40))/file-$n"
done
tar czf "$3" .
cd ..
rm -r src
"#;

impl Package {
    /// Packs 1,000 files into a tar.gz of about `mib` MiB.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn write(directory: &Path, mib: usize) -> Result<Self, AnyError> {
        let path = directory.join(format!("package-{mib}.tar.gz"));
        let bytes = (mib * 1000).to_string();
        let status = Command::new("sh")
            .args(["-c", PACK, "pack"])
            .arg(directory)
            .arg(bytes)
            .arg(&path)
            .status()?;
        if !status.success() {
            return Err("the package could not be made".into());
        }
        Self::of(path)
    }

    /// Takes the file as it is.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn of(path: PathBuf) -> Result<Self, AnyError> {
        let mut digests = Digests::new();
        let mut file = File::open(&path)?;
        let mut chunk = vec![0; 1 << 20];
        loop {
            let read = std::io::Read::read(&mut file, &mut chunk)?;
            if read == 0 {
                break;
            }
            digests.update(&chunk[..read]);
        }
        Ok(Self { path, digests: digests.finish() })
    }

    /// Takes the file to be what a task says.
    ///
    /// # Errors
    ///
    /// When the task does not say what it is.
    pub fn given(path: PathBuf, source: &PackageSource) -> Result<Self, AnyError> {
        let (Some(sha256), Some(size)) = (source.sha256, source.size) else {
            return Err("the task does not pin its package".into());
        };
        Ok(Self { path, digests: PackageDigests::new(source.md5, sha256, size) })
    }

    /// Where it comes from, as a task says it.
    ///
    /// # Errors
    ///
    /// When its path makes no URL.
    pub fn source(&self) -> Result<PackageSource, AnyError> {
        let url = PackageUrl::new(&format!("file://{}", self.path.display()))?;
        Ok(PackageSource::new(url, self.digests.md5).pinned(&self.digests))
    }

    /// Gives the file without looking: the floors do not check it on the control side either.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn verifier(&self) -> Result<FnVerifier, AnyError> {
        let file = Arc::new(File::open(&self.path)?);
        let digests = self.digests;
        Ok(FnVerifier::new(move |_cx, source: PackageSource| {
            let package = VerifiedPackage::new(Arc::clone(&file), digests, source.url.file_name());
            async move { Ok(package) }
        }))
    }
}
