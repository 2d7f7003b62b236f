//! Packages, and verifiers that fetch them from the loopback interface.

use std::path::Path;

use deploy_core::model::{Digests, PackageDigests, PackageSource, PackageUrl};
use deploy_http::{HttpVerifier, HttpVerifierBuilder, UrlPolicy};
use std::os::unix::fs::FileExt;

use super::SOON;

/// Bytes that look like nothing in particular, the same each time.
pub(crate) fn bytes(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..count).map(next).collect()
}

/// What the digests of some bytes are.
pub(crate) fn digests(bytes: &[u8]) -> PackageDigests {
    let mut digests = Digests::new();
    digests.update(bytes);
    digests.finish()
}

/// A package named by address and MD5.
pub(crate) fn source(url: &str, bytes: &[u8]) -> PackageSource {
    PackageSource::new(PackageUrl::new(url).unwrap(), digests(bytes).md5)
}

/// A package named by address and all of its digests.
pub(crate) fn pinned(url: &str, bytes: &[u8]) -> PackageSource {
    source(url, bytes).pinned(&digests(bytes))
}

/// A verifier that may contact this machine and does not wait long.
pub(crate) fn verifier(cache: &Path) -> HttpVerifierBuilder {
    HttpVerifier::builder(cache)
        .policy(UrlPolicy::new().allow_loopback())
        .first_pause(SOON)
}

/// The names in a cache, sorted.
pub(crate) fn kept(cache: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(cache.join("sha256")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// All bytes of an open file.
pub(crate) fn content(file: &std::fs::File) -> Vec<u8> {
    let size = usize::try_from(file.metadata().unwrap().len()).unwrap();
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}
