//! A verifier whose package is in memory.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use deploy_core::model::{Digests, PackageDigests, PackageSource, PackageUrl};
use deploy_core::{Context, VerifiedPackage, Verifier, VerifyError};

/// A verifier whose package is in memory: every address gives the same bytes.
///
/// It checks them as the contract of [`Verifier`] says. Clones share everything.
#[derive(Clone, Debug)]
pub struct FakeVerifier {
    bytes: Arc<[u8]>,
    calls: Arc<Mutex<Calls>>,
}

#[derive(Debug, Default)]
struct Calls {
    made: Vec<PackageSource>,
    errors: VecDeque<VerifyError>,
}

impl FakeVerifier {
    /// Gives these bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { bytes: bytes.into(), calls: Arc::default() }
    }

    /// Answers the next call with an error. Several come in turn.
    #[must_use]
    pub fn with_error(self, error: VerifyError) -> Self {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.errors.push_back(error);
        drop(calls);
        self
    }

    /// The digests of its bytes.
    #[must_use]
    pub fn digests(&self) -> PackageDigests {
        let mut digests = Digests::new();
        digests.update(&self.bytes);
        digests.finish()
    }

    /// Names its bytes as a request does: by an address and their MD5.
    #[must_use]
    pub fn source(&self, url: PackageUrl) -> PackageSource {
        PackageSource::new(url, self.digests().md5)
    }

    /// What it was asked for, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<PackageSource> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.made.clone()
    }
}

#[async_trait]
impl Verifier for FakeVerifier {
    async fn verify(
        &self,
        cx: Context,
        source: PackageSource,
    ) -> Result<VerifiedPackage, VerifyError> {
        let error = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.made.push(source.clone());
            calls.errors.pop_front()
        };
        if let Some(error) = error {
            return Err(error);
        }
        if cx.cancel.is_cancelled() {
            return Err(VerifyError::Cancelled);
        }
        let digests = self.digests();
        VerifyError::check(&source, &digests)?;
        let storage = |source| VerifyError::Storage { source };
        let mut file = tempfile::tempfile().map_err(storage)?;
        file.write_all(&self.bytes).map_err(storage)?;
        let name = source.url.file_name();
        Ok(VerifiedPackage::new(Arc::new(file), digests, name))
    }
}
