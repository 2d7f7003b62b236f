//! The TCP connection to a host.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// How long data may wait for an acknowledgement, and how long a silent peer is believed in.
const UNANSWERED: Duration = Duration::from_secs(30);

/// Connects to the first address of a host that answers. Each address may take `time`.
pub(crate) async fn connect(host: &str, port: u16, time: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in tokio::net::lookup_host((host, port)).await? {
        match tokio::time::timeout(time, tokio::net::TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return prepare(stream.into_std()?),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::Error::from(io::ErrorKind::TimedOut),
        }
    }
    Err(last)
}

/// libssh2 sees neither a frozen peer nor a broken network, so the system is told to.
fn prepare(stream: TcpStream) -> io::Result<TcpStream> {
    let socket = SockRef::from(&stream);
    // Each exchange would cost 40 ms otherwise.
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(UNANSWERED / 2).with_interval(UNANSWERED / 6);
    #[cfg(target_os = "linux")]
    let keepalive = keepalive.with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNANSWERED))?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;

    #[test]
    fn a_connection_waits_for_no_delay_and_ends_with_its_peer() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let stream = prepare(socket.into()).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.nonblocking().unwrap());
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(UNANSWERED));
        assert!(socket.keepalive().unwrap());
        let silence = socket.tcp_keepalive_time().unwrap()
            + socket.tcp_keepalive_interval().unwrap() * socket.tcp_keepalive_retries().unwrap();
        assert_eq!(silence, UNANSWERED);
    }
}
