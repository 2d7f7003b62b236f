//! Downloading one package: trying again, going on where it broke off, starting over.

use deploy_core::VerifyError;
use deploy_core::model::{PackageDigests, PackageSource};
use reqwest::header::HeaderValue;

use super::fetch::{Answer, Resume, Trouble};
use super::spool::Spool;
use super::store::Partial;
use super::{Inner, blocking, storage};
use crate::backoff::Backoff;

use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How many further bytes count as progress. A server that sends less before each break would keep
/// us busy for ever.
const PROGRESS: u64 = 1024 * 1024;

/// How many bytes a second a server sends at least, over the time for which it may stay silent. One
/// that dribbles would keep us busy for ever.
const SLOWEST: u128 = 1024;

/// A download on its way.
#[derive(Debug)]
pub(super) struct Download<'a> {
    verifier: &'a Inner,
    source: &'a PackageSource,
    shown: String,
    spool: Option<Spool>,
    validator: Option<HeaderValue>,
    resumed: bool,
}

impl<'a> Download<'a> {
    pub(super) fn new(verifier: &'a Inner, source: &'a PackageSource) -> Self {
        Self {
            verifier,
            source,
            shown: source.url.to_string(),
            spool: None,
            validator: None,
            resumed: false,
        }
    }

    /// Downloads the package, and gives it when it is what was asked for.
    pub(super) async fn run(mut self) -> Result<(Partial, PackageDigests), VerifyError> {
        let mut started_over = false;
        loop {
            let spool = self.bring().await?;
            let (partial, found) = spool.finish().await.map_err(storage)?;
            let checked = VerifyError::check(self.source, &found);
            let Err(mismatch) = checked else {
                return Ok((partial, found));
            };
            // Parts of two packages make a third one. Only a whole one is proof.
            if !self.resumed || started_over {
                return Err(mismatch);
            }
            started_over = true;
            self.start_over();
        }
    }

    /// Brings all bytes, in as many tries as it takes and as are allowed.
    async fn bring(&mut self) -> Result<Spool, VerifyError> {
        if self.source.url.url().scheme() == "file" {
            return self.read_file().await;
        }
        let limits = self.verifier.limits;
        let mut backoff = Backoff::new(limits.first_pause, LONGEST_PAUSE);
        let (mut failures, mut furthest) = (0, 0);
        loop {
            let (source, wait) = match self.attempt().await {
                Ok(()) => match self.spool.take() {
                    Some(spool) => return Ok(spool),
                    // An attempt that ends well has a spool.
                    None => continue,
                },
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing { source, wait }) => (source, wait),
                Err(Trouble::Changed { source }) => {
                    self.start_over();
                    (source, None)
                }
            };
            let reached = self.spool.as_ref().map_or(0, Spool::size);
            if reached >= furthest + PROGRESS {
                furthest = reached;
                failures = 0;
                backoff.reset();
            }
            failures += 1;
            tracing::debug!(target: "deploy", url = self.shown, failures, error = %source, "a download broke off");
            if failures >= limits.tries {
                let url = self.shown.clone();
                return Err(VerifyError::Unreachable { url, source });
            }
            if self.validator.is_none() {
                self.start_over();
            }
            tokio::time::sleep(backoff.next(wait)).await;
        }
    }

    /// One request, and all bytes that it brings.
    async fn attempt(&mut self) -> Result<(), Trouble> {
        let resume = match (&self.spool, &self.validator) {
            (Some(spool), Some(validator)) if spool.size() > 0 => {
                Some(Resume { offset: spool.size(), validator: validator.clone() })
            }
            _ => None,
        };
        let url = self.source.url.url();
        let mut answer = self.verifier.fetch(url, &self.shown, resume).await?;
        self.check_total(&answer)?;
        if answer.offset == 0 {
            self.start_over();
            self.validator = answer.validator.take();
            self.spool = Some(self.begin().await.map_err(Trouble::Final)?);
        } else {
            self.resumed = true;
        }
        self.take_all(answer).await
    }

    async fn take_all(&mut self, mut answer: Answer) -> Result<(), Trouble> {
        let idle = self.verifier.limits.idle;
        let least = idle.as_millis() * SLOWEST / 1000;
        let (mut waited, mut came) = (Duration::ZERO, 0);
        loop {
            let asked = Instant::now();
            let chunk = tokio::time::timeout(idle, answer.response.chunk()).await;
            let chunk = chunk
                .map_err(|_| Trouble::passing("the server fell silent in the middle"))?
                .map_err(|error| Trouble::of_request(&self.shown, error))?;
            let Some(chunk) = chunk else {
                return self.check_end(answer.total);
            };
            waited += asked.elapsed();
            came += chunk.len() as u128;
            if waited >= idle {
                if came < least {
                    return Err(Trouble::passing("the server sends next to nothing"));
                }
                (waited, came) = (Duration::ZERO, 0);
            }
            self.take(chunk).await.map_err(Trouble::Final)?;
        }
    }

    async fn take(&mut self, chunk: Bytes) -> Result<(), VerifyError> {
        let Some(spool) = &mut self.spool else {
            return Ok(());
        };
        let size = spool.size() + chunk.len() as u64;
        check_size(self.source, &self.shown, self.verifier.limits.max_size, size)?;
        spool.take(chunk).await.map_err(storage)
    }

    /// Refuses a package whose size, as the server announces it, is not right.
    fn check_total(&self, answer: &Answer) -> Result<(), Trouble> {
        let Some(total) = answer.total else {
            return Ok(());
        };
        let limit = self.verifier.limits.max_size;
        check_size(self.source, &self.shown, limit, total).map_err(Trouble::Final)?;
        match self.source.size {
            Some(size) if total < size => Err(Trouble::Final(wrong_size(&self.shown, size, total))),
            _ => Ok(()),
        }
    }

    /// Servers may send less than the part that they were asked for.
    fn check_end(&self, total: Option<u64>) -> Result<(), Trouble> {
        let reached = self.spool.as_ref().map_or(0, Spool::size);
        match total {
            Some(total) if reached < total => Err(Trouble::passing("the server sent a part of it")),
            _ => Ok(()),
        }
    }

    /// Copies a file of this machine, so that what is given cannot change any more.
    async fn read_file(&mut self) -> Result<Spool, VerifyError> {
        let refused = |reason: &str| VerifyError::Refused {
            url: self.shown.clone(),
            reason: reason.to_owned(),
        };
        if !self.verifier.files {
            return Err(refused("file addresses are not allowed here"));
        }
        let path = self.source.url.url().to_file_path();
        let path = path.map_err(|()| refused("the address names no file"))?;
        let opened = blocking(move || {
            // Opening anything else, such as a named pipe, could wait for ever.
            if !std::fs::metadata(&path)?.is_file() {
                return Err(std::io::ErrorKind::NotFound.into());
            }
            File::open(&path)
        });
        let mut file = opened.await.map_err(|error| match error {
            VerifyError::Storage { source } if source.kind() == std::io::ErrorKind::NotFound => {
                refused("there is no such file")
            }
            VerifyError::Storage { source } => refused(&source.kind().to_string()),
            other => other,
        })?;
        self.spool = Some(self.begin().await?);
        let (sender, mut chunks) = mpsc::channel(4);
        let reading = tokio::task::spawn_blocking(move || {
            let mut block = vec![0; 256 * 1024];
            loop {
                let count = file.read(&mut block)?;
                let chunk = Bytes::copy_from_slice(&block[..count]);
                if count == 0 || sender.blocking_send(chunk).is_err() {
                    return Ok::<(), std::io::Error>(());
                }
            }
        });
        while let Some(chunk) = chunks.recv().await {
            self.take(chunk).await?;
        }
        let read = reading.await.map_err(std::io::Error::other);
        read.and_then(|read| read).map_err(storage)?;
        self.spool.take().ok_or_else(|| storage(std::io::ErrorKind::NotFound.into()))
    }

    async fn begin(&self) -> Result<Spool, VerifyError> {
        let store = self.verifier.store.clone();
        blocking(move || Spool::new(store.begin()?)).await
    }

    fn start_over(&mut self) {
        self.spool = None;
        self.validator = None;
        self.resumed = false;
    }
}

/// Refuses more bytes than may be, or than were asked for.
fn check_size(
    source: &PackageSource,
    shown: &str,
    limit: u64,
    size: u64,
) -> Result<(), VerifyError> {
    if size > limit {
        let url = shown.to_owned();
        return Err(VerifyError::TooLarge { url, limit });
    }
    match source.size {
        Some(wanted) if size > wanted => Err(wrong_size(shown, wanted, size)),
        _ => Ok(()),
    }
}

fn wrong_size(shown: &str, expected: u64, found: u64) -> VerifyError {
    VerifyError::Mismatch {
        url: shown.to_owned(),
        what: "size",
        found: found.to_string(),
        expected: expected.to_string(),
    }
}
