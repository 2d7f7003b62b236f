//! The service that is deployed: it says its version, and whether it is well.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::AnyError;

/// The version that is never well.
const BROKEN: &str = "3";

/// Serves until the lifeline, a connection to the quick start, is cut: so that nothing outlives it,
/// however it ends.
pub(crate) fn serve(address: &str, version: &str, lifeline: &str) -> Result<(), AnyError> {
    let mut lifeline = TcpStream::connect(lifeline)?;
    std::thread::spawn(move || {
        let _ = lifeline.read(&mut [0]);
        std::process::exit(0);
    });
    let listener = bind(address)?;
    for stream in listener.incoming() {
        // A client that breaks off is its own loss.
        let _ = stream.and_then(|stream| answer(stream, version));
    }
    Ok(())
}

/// The service of the release before may need a moment to let go of the address.
fn bind(address: &str) -> std::io::Result<TcpListener> {
    for _ in 0..100 {
        if let Ok(listener) = TcpListener::bind(address) {
            return Ok(listener);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    TcpListener::bind(address)
}

fn answer(mut stream: TcpStream, version: &str) -> std::io::Result<()> {
    let mut request = BufReader::new(stream.try_clone()?).lines();
    let first = request.next().transpose()?.unwrap_or_default();
    while request.next().transpose()?.is_some_and(|header| !header.is_empty()) {}
    let (status, body) = match first.split(' ').nth(1) {
        Some("/healthz") if version == BROKEN => ("500 Internal Server Error", "not well"),
        Some("/healthz") => ("200 OK", "well"),
        Some("/version") => ("200 OK", version),
        _ => ("404 Not Found", ""),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}
