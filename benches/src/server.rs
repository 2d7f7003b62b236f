//! A package server on loopback: one file, one thread a connection.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};

/// Serves a file at every path.
///
/// # Errors
///
/// When no port can be had.
pub fn serve(file: &Path) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let file: PathBuf = file.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let file = file.clone();
            // A client that breaks off is its own loss.
            std::thread::spawn(move || drop(answer(stream, &file)));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream, file: &Path) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")?;
    io::copy(&mut file, &mut stream)?;
    Ok(())
}
