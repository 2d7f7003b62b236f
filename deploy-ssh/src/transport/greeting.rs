//! What a server says first, in the clear: its banner, and the algorithms that it offers.

/// The most that may stand before the banner, in bytes: RFC 4253 allows lines of text there.
const LONGEST_PROLOGUE: usize = 16 * 1024;

/// The longest line there, in bytes. libssh2 takes what follows the first 8192 for another line,
/// and who could make the two of us see different greetings could make a server look strict.
const LONGEST_LINE: usize = 4096;

/// The largest packet that libssh2 takes, in bytes.
const LARGEST_PACKET: usize = 40_000;

/// The number of the message that offers algorithms.
const KEXINIT: u8 = 20;

/// What stands among the key exchanges of a server that keeps to strict key exchange, which is what
/// makes the Terrapin attack impossible.
const STRICT: &str = "kex-strict-s-v00@openssh.com";

/// A greeting that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// Its length in bytes.
    pub(crate) length: usize,
    /// Whether the server keeps to strict key exchange.
    pub(crate) strict: bool,
}

/// This is no greeting of an SSH server.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("what answers is not an SSH server: {0}")]
pub(crate) struct NoGreeting(&'static str);

/// Reads a greeting from its first byte on; `None` while it is not complete.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<Greeting>, NoGreeting> {
    let Some(banner) = banner_end(bytes)? else { return Ok(None) };
    let packet = &bytes[banner..];
    let Some(length) = packet.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if !(2..=LARGEST_PACKET).contains(&length) {
        return Err(NoGreeting("its first packet has an impossible length"));
    }
    let Some(body) = packet.get(4..4 + length) else { return Ok(None) };
    let broken = NoGreeting("its offer of algorithms is broken");
    if body[1] != KEXINIT {
        return Err(NoGreeting("its first packet offers no algorithms"));
    }
    // The length of the padding, the number of the message, a cookie of 16 bytes, and the first list.
    let Some(list) = body.get(18..).and_then(first_list) else { return Err(broken) };
    let strict = list.split(|&byte| byte == b',').any(|name| name == STRICT.as_bytes());
    Ok(Some(Greeting { length: banner + 4 + length, strict }))
}

fn first_list(bytes: &[u8]) -> Option<&[u8]> {
    let length = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    bytes.get(4..)?.get(..length)
}

/// Where the line ends that begins with `SSH-`. Lines are told apart as libssh2 does it.
fn banner_end(bytes: &[u8]) -> Result<Option<usize>, NoGreeting> {
    let mut from = 0;
    while let Some(length) = bytes[from..].iter().position(|&byte| byte == b'\n') {
        let line = without_returns(&bytes[from..from + length]);
        check_line(line)?;
        from += length + 1;
        if line.starts_with(b"SSH-") {
            return Ok(Some(from));
        }
        if from > LONGEST_PROLOGUE {
            break;
        }
    }
    if bytes.len() > LONGEST_PROLOGUE {
        return Err(NoGreeting("it never says which version it speaks"));
    }
    check_line(without_returns(&bytes[from..]))?;
    Ok(None)
}

/// A line without the carriage returns in front, which libssh2 passes over.
fn without_returns(line: &[u8]) -> &[u8] {
    let returns = line.iter().take_while(|&&byte| byte == b'\r').count();
    &line[returns..]
}

fn check_line(line: &[u8]) -> Result<(), NoGreeting> {
    if line.len() > LONGEST_LINE || line.contains(&0) {
        return Err(NoGreeting("what it says first is no text of lines"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(lists: &str) -> Vec<u8> {
        let mut body = vec![4, KEXINIT];
        body.extend_from_slice(&[7; 16]);
        body.extend_from_slice(&u32::try_from(lists.len()).unwrap().to_be_bytes());
        body.extend_from_slice(lists.as_bytes());
        body.extend_from_slice(&[0; 30]);
        let mut bytes = b"hello\r\nSSH-2.0-x\r\n".to_vec();
        bytes.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    #[test]
    fn a_greeting_is_read_once_it_is_complete_and_no_further() {
        let mut bytes = greeting("curve25519-sha256,kex-strict-s-v00@openssh.com");
        let length = bytes.len();
        for short in 0..length {
            assert_eq!(read(&bytes[..short]), Ok(None), "{short}");
        }
        bytes.extend_from_slice(b"more");
        assert_eq!(read(&bytes), Ok(Some(Greeting { length, strict: true })));
    }

    #[test]
    fn strictness_is_offered_by_its_whole_name_alone() {
        for lists in ["", "curve25519-sha256", "kex-strict-s-v00@openssh.com.x", "kex-strict-c-v00"]
        {
            assert_eq!(read(&greeting(lists)).unwrap().map(|it| it.strict), Some(false), "{lists}");
        }
    }

    #[test]
    fn lines_are_told_apart_as_libssh2_does_it() {
        let whole = greeting("kex-strict-s-v00@openssh.com");
        let more = [b"\r\r\n\r", &whole[b"hello\r\n".len()..]].concat();
        assert_eq!(read(&more).unwrap().map(|it| it.length), Some(more.len()));
        for before in [[b'x'; 8192].as_slice(), b"x\0"] {
            assert!(read(&[before, &whole].concat()).is_err());
        }
    }

    #[test]
    fn what_is_no_ssh_server_is_told_at_once() {
        assert!(read(b"SSH-2.0-x\n\xff\xff\xff\xff").is_err());
        assert!(read(b"SSH-2.0-x\n\0\0\0\x01x").is_err());
        assert!(read(b"SSH-2.0-x\n\0\0\0\x04\x04\x15xx").is_err());
        assert!(read(b"SSH-2.0-x\n\0\0\0\x04\x04\x14xx").is_err());
        assert!(read(&[b'x'; LONGEST_PROLOGUE + 1]).is_err());
        assert!(read(&b"x\n".repeat(LONGEST_PROLOGUE)).is_err());
    }
}
