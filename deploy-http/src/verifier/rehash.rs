//! Hashing a file that is already there, both digests at once.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use deploy_core::model::{Md5Hasher, PackageDigests, Sha256Hasher};

/// How much is read at once.
const BLOCK: usize = 256 * 1024;

/// The digests and the size of a file's bytes, read through the open file. Dropping the future ends
/// the reading.
pub(super) async fn digests(file: &Arc<File>) -> io::Result<PackageDigests> {
    let abandoned = Abandoned::default();
    let md5 = (
        Md5Hasher::new(),
        Md5Hasher::update as fn(&mut Md5Hasher, &[u8]),
        Md5Hasher::finish as fn(Md5Hasher) -> _,
    );
    let sha256 = (
        Sha256Hasher::new(),
        Sha256Hasher::update as fn(&mut Sha256Hasher, &[u8]),
        Sha256Hasher::finish as fn(Sha256Hasher) -> _,
    );
    let md5 = read(file, &abandoned, md5);
    let sha256 = read(file, &abandoned, sha256);
    let ((md5, size), (sha256, _)) = tokio::try_join!(md5, sha256)?;
    Ok(PackageDigests::new(md5, sha256, size))
}

/// A hasher, what it does with a block, and how it ends.
type Hasher<H, T> = (H, fn(&mut H, &[u8]), fn(H) -> T);

/// Feeds a file's blocks to a hasher.
async fn read<H: Send + 'static, T: Send + 'static>(
    file: &Arc<File>,
    abandoned: &Abandoned,
    (mut hasher, update, finish): Hasher<H, T>,
) -> io::Result<(T, u64)> {
    let (file, stop) = (Arc::clone(file), Arc::clone(&abandoned.0));
    let work = move || {
        let mut block = vec![0; BLOCK];
        let mut size = 0;
        loop {
            let count = file.read_at(&mut block, size)?;
            if stop.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if count == 0 {
                return Ok((finish(hasher), size));
            }
            update(&mut hasher, &block[..count]);
            size += count as u64;
        }
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

/// Tells the reading threads, once it is dropped, that nobody waits any more.
#[derive(Debug, Default)]
struct Abandoned(Arc<AtomicBool>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
