//! The proxy that harms connections: what each fault looks like from both sides.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use deploy_testkit::{Direction, Fault, FaultProxy, Faults};

/// A client and a server that talk through a proxy.
struct Talk {
    proxy: FaultProxy,
    client: TcpStream,
    server: TcpStream,
}

fn talk(faults: Faults) -> Talk {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = FaultProxy::start(listener.local_addr().unwrap(), faults);
    let client = TcpStream::connect(proxy.address()).unwrap();
    let (server, _) = listener.accept().unwrap();
    Talk { proxy, client, server }
}

impl Talk {
    /// The sender and the receiver of a direction.
    fn ends(&self, direction: Direction) -> (&TcpStream, &TcpStream) {
        match direction {
            Direction::Upstream => (&self.client, &self.server),
            Direction::Downstream => (&self.server, &self.client),
        }
    }
}

/// Bytes of which no two neighbours are alike.
fn pattern(length: usize) -> Vec<u8> {
    (0_u8..251).cycle().take(length).collect()
}

/// Reads to the end; how it ended, when not by an end.
fn read_all(mut stream: &TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let error = stream.read_to_end(&mut bytes).err().map(|error| error.kind());
    (bytes, error)
}

/// Waits until exactly so many bytes are counted: that is done just after they have passed.
fn until_passed(proxy: &FaultProxy, direction: Direction, bytes: u64) {
    while proxy.passed(direction) < bytes {
        std::thread::yield_now();
    }
    assert_eq!(proxy.passed(direction), bytes);
}

/// Nothing comes, and nothing is over.
fn is_silent(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let read = stream.read(&mut [0; 1]);
    stream.set_nonblocking(false).unwrap();
    read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn without_faults_everything_passes_and_is_counted() {
    let talk = talk(Faults::none());
    let big = pattern(3_000_000);
    for direction in Direction::BOTH {
        let (mut from, to) = talk.ends(direction);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                from.write_all(&big).unwrap();
                from.shutdown(Shutdown::Write).unwrap();
            });
            assert_eq!(read_all(to), (big.clone(), None));
        });
        until_passed(&talk.proxy, direction, 3_000_000);
    }
    assert_eq!(talk.proxy.connections(), 1);
}

#[test]
fn a_cut_lets_exactly_so_many_bytes_pass() {
    for (fault, end) in [(Fault::Reset, Some(ErrorKind::ConnectionReset)), (Fault::Close, None)] {
        for direction in Direction::BOTH {
            for bytes in [1, 999, 70_000] {
                let talk = talk(Faults::none().at(direction, bytes, fault));
                let (mut from, to) = talk.ends(direction);
                // It may be cut before everything is written.
                let _ = from.write_all(&pattern(200_000));
                let whole = usize::try_from(bytes).unwrap();
                assert_eq!(read_all(to), (pattern(whole), end), "{fault:?} {direction:?}");
                // The other side is told as well.
                let (told, _) = read_all(from);
                assert!(told.is_empty());
                until_passed(&talk.proxy, direction, bytes);
            }
        }
    }
}

#[test]
fn a_cut_at_nothing_comes_before_the_first_byte() {
    for direction in Direction::BOTH {
        let talk = talk(Faults::none().at(direction, 0, Fault::Close));
        assert_eq!(read_all(&talk.client), (Vec::new(), None));
        assert_eq!(read_all(&talk.server), (Vec::new(), None));
    }
}

#[test]
fn a_cut_at_the_last_byte_waits_for_no_other() {
    let talk = talk(Faults::none().at(Direction::Upstream, 5, Fault::Close));
    (&talk.client).write_all(b"hello").unwrap();
    assert_eq!(read_all(&talk.server), (b"hello".to_vec(), None));
}

#[test]
fn after_a_half_close_the_other_direction_goes_on() {
    let talk = talk(Faults::none().at(Direction::Upstream, 3, Fault::HalfClose));
    (&talk.client).write_all(b"hello").unwrap();
    assert_eq!(read_all(&talk.server), (b"hel".to_vec(), None));
    (&talk.client).write_all(b"hello?").unwrap();
    (&talk.server).write_all(b"still here").unwrap();
    talk.server.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&talk.client), (b"still here".to_vec(), None));
}

#[test]
fn a_hang_stops_both_directions_and_tells_nobody() {
    let talk = talk(Faults::none().at(Direction::Upstream, 3, Fault::Hang));
    let (mut client, mut server) = (&talk.client, &talk.server);
    client.write_all(b"hello").unwrap();
    let mut word = [0; 3];
    server.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"hel");
    // The bytes are counted once the fault has happened.
    until_passed(&talk.proxy, Direction::Upstream, 3);
    server.write_all(b"anybody?").unwrap();
    client.write_all(b"hello?").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert!(is_silent(client) && is_silent(server));
    let (proxy, client) = (talk.proxy, talk.client);
    drop(proxy);
    let (told, _) = read_all(&client);
    assert_eq!(told, b"");
}

#[test]
fn one_byte_is_turned_over_and_no_other() {
    for at in [0, 4, 70_000] {
        let talk = talk(Faults::none().at(Direction::Downstream, at, Fault::Flip));
        let mut expected = pattern(100_000);
        let at = usize::try_from(at).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (&talk.server).write_all(&pattern(100_000)).unwrap();
                talk.server.shutdown(Shutdown::Write).unwrap();
            });
            expected[at] = !expected[at];
            assert_eq!(read_all(&talk.client), (expected, None));
        });
    }
}

#[test]
fn delayed_bytes_are_under_way_together() {
    // A hundred rounds of a line that waits for each chunk would take ten seconds; here all chunks
    // are on their way before the first arrives.
    let delay = Duration::from_millis(100);
    let talk = talk(Faults::none().delay(Direction::Upstream, delay));
    let start = Instant::now();
    for _ in 0..100 {
        (&talk.client).write_all(&pattern(1000)).unwrap();
    }
    talk.client.shutdown(Shutdown::Write).unwrap();
    (&talk.server).write_all(b"at once").unwrap();
    let mut word = [0; 7];
    (&talk.client).read_exact(&mut word).unwrap();
    let (bytes, error) = read_all(&talk.server);
    assert_eq!((bytes.len(), error), (100_000, None));
    // Not a test of speed: nothing may come early.
    assert!(start.elapsed() >= delay);
}

#[test]
fn a_slow_line_is_no_faster_than_it_may_be() {
    let talk = talk(Faults::none().rate(Direction::Upstream, 100_000));
    let start = Instant::now();
    (&talk.client).write_all(&pattern(20_000)).unwrap();
    talk.client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&talk.server), (pattern(20_000), None));
    assert!(start.elapsed() >= Duration::from_millis(190));
}

#[test]
fn a_strike_hits_what_is_open_and_not_what_comes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = FaultProxy::start(listener.local_addr().unwrap(), Faults::none());
    let mut first = TcpStream::connect(proxy.address()).unwrap();
    first.write_all(b"x").unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    accepted.read_exact(&mut [0]).unwrap();
    proxy.strike(Fault::Reset);
    assert_eq!(read_all(&first), (Vec::new(), Some(ErrorKind::ConnectionReset)));
    let mut second = TcpStream::connect(proxy.address()).unwrap();
    second.write_all(b"y").unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    accepted.read_exact(&mut [0]).unwrap();
    assert!(is_silent(&second));
}

#[test]
fn a_connection_to_nobody_is_closed() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = FaultProxy::start(nobody, Faults::none());
    let client = TcpStream::connect(proxy.address()).unwrap();
    assert!(read_all(&client).0.is_empty());
}

#[test]
fn nothing_listens_once_it_is_dropped() {
    let talk = talk(Faults::none());
    let address = talk.proxy.address();
    drop(talk.proxy);
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert!(read_all(&talk.client).0.is_empty());
    assert!(read_all(&talk.server).0.is_empty());
}
