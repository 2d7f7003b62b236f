//! A proxy between two parts that breaks connections as it is told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Background;

/// What happens to one connection, counted in bytes that flow back from the server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Nothing bad.
    Pass,
    /// It is closed after so many bytes.
    Cut(usize),
    /// It is reset after so many bytes.
    Reset(usize),
    /// Nothing more comes after so many bytes.
    Stall(usize),
}

/// The proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    _accepting: Background,
}

impl Proxy {
    /// Sends the first connections through these faults, and all further ones through unharmed.
    pub(crate) async fn start(to: SocketAddr, faults: impl IntoIterator<Item = Fault>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let faults: VecDeque<Fault> = faults.into_iter().collect();
        let faults = Arc::new(Mutex::new(faults));
        let accepting = tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let fault = faults.lock().unwrap().pop_front().unwrap_or(Fault::Pass);
                tokio::spawn(async move {
                    if let Ok(far) = TcpStream::connect(to).await {
                        let _ = carry(near, far, fault).await;
                    }
                });
            }
        });
        Self {
            address,
            _accepting: Background(accepting),
        }
    }
}

async fn carry(near: TcpStream, far: TcpStream, fault: Fault) -> std::io::Result<()> {
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = far.into_split();
    let forth = async move {
        tokio::io::copy(&mut from_near, &mut to_far).await?;
        to_far.shutdown().await
    };
    let back = async move {
        let mut left = match fault {
            Fault::Pass => usize::MAX,
            Fault::Cut(bytes) | Fault::Reset(bytes) | Fault::Stall(bytes) => bytes,
        };
        let mut piece = [0; 4096];
        loop {
            let count = from_far.read(&mut piece).await?;
            let passed = count.min(left);
            to_near.write_all(&piece[..passed]).await?;
            left -= passed;
            if count == 0 {
                return to_near.shutdown().await;
            }
            if left == 0 {
                break;
            }
        }
        match fault {
            Fault::Reset(_) => to_near.as_ref().set_zero_linger()?,
            Fault::Stall(_) => std::future::pending::<()>().await,
            Fault::Pass | Fault::Cut(_) => {}
        }
        Err(std::io::ErrorKind::ConnectionAborted.into())
    };
    tokio::try_join!(forth, back).map(drop)
}
