//! One header block of a tar.

use super::super::error::ArchiveError;

/// Tar is made of blocks of this many bytes.
pub(in crate::archive) const BLOCK_BYTES: usize = 512;

/// The largest size that the octal digits of a header can say: 8 GiB − 1.
pub(super) const OCTAL_SIZE_MAX: u64 = 0o777_7777_7777;

pub(in crate::archive) type Block = [u8; BLOCK_BYTES];

/// What the first block of a stream says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::archive) enum Start {
    /// It is a tar header, sound or damaged.
    Header,
    /// It is all zeros: an empty tar, or a file that begins with zeros.
    Zeros,
    Unknown,
}

impl Start {
    pub(in crate::archive) fn of(block: &Block) -> Self {
        if is_zero(block) {
            Self::Zeros
        } else if block[MAGIC].starts_with(b"ustar") || Header::checksum_holds(block) {
            Self::Header
        } else {
            Self::Unknown
        }
    }
}

pub(super) fn is_zero(block: &[u8]) -> bool {
    block.iter().all(|byte| *byte == 0)
}

/// Where a header says its dialect.
const MAGIC: std::ops::Range<usize> = 257..265;

/// Where a header has its checksum.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// What a header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    HardLink,
    SymbolicLink,
    /// GNU: the name of the next entry.
    LongName,
    /// GNU: the link target of the next entry.
    LongLink,
    /// PAX: records about the next entry.
    Local,
    /// PAX: records about all entries from here on.
    Global,
    /// Something no package may hold; with its article.
    Forbidden(&'static str),
}

/// A header whose checksum holds and whose numbers are sound.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) size: u64,
}

impl Header {
    pub(super) fn parse(block: &Block) -> Result<Self, ArchiveError> {
        if !Self::checksum_holds(block) {
            return Err(ArchiveError::damaged("a tar header has a wrong checksum"));
        }
        let header = ::tar::Header::from_byte_slice(block);
        let extended = header.as_ustar().is_some() || header.as_gnu().is_some();
        if !extended && block[MAGIC].starts_with(b"ustar") {
            return Err(ArchiveError::damaged("a tar header is of an unknown dialect"));
        }
        let fields = header.as_old();
        let mode = number(&fields.mode).or_else(|| is_blank(&fields.mode).then_some(0));
        let (Some(mode), Some(size)) = (mode, number(&fields.size)) else {
            return Err(ArchiveError::damaged("a tar header holds no sound number"));
        };
        Ok(Self {
            name: header.path_bytes().into_owned(),
            link: until_nul(&fields.linkname).into(),
            kind: kind(fields.linkflag[0], extended),
            // What is above the bits of a mode says nothing.
            mode: (mode & 0o7777) as u32,
            size,
        })
    }

    fn checksum_holds(block: &Block) -> bool {
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        let own: u64 = block[CHECKSUM].iter().map(|byte| u64::from(*byte)).sum();
        let blank = u64::from(b' ') * CHECKSUM.len() as u64;
        number(&block[CHECKSUM]) == Some(sum - own + blank)
    }
}

fn kind(flag: u8, extended: bool) -> Kind {
    match flag {
        0 | b'0' | b'7' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::SymbolicLink,
        b'3' | b'4' => Kind::Forbidden("a device"),
        b'5' => Kind::Directory,
        b'6' => Kind::Forbidden("a fifo"),
        b'S' => Kind::Forbidden("a sparse file"),
        b'L' if extended => Kind::LongName,
        b'K' if extended => Kind::LongLink,
        b'x' if extended => Kind::Local,
        b'g' if extended => Kind::Global,
        _ => Kind::Forbidden("of an unknown kind"),
    }
}

/// Reads octal digits, or GNU's base 256 for what does not fit; `None` is blank, negative, too
/// large or nonsense.
fn number(field: &[u8]) -> Option<u64> {
    let (&first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        let positive = first == 0x80;
        let value = rest
            .iter()
            .try_fold(0_u64, |value, byte| Some(value.checked_mul(256)? | u64::from(*byte)));
        return value.filter(|_| positive);
    }
    let field = field.trim_ascii_start();
    let digits = field.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = field.split_at(digits);
    if digits.is_empty() || !is_blank(rest) {
        return None;
    }
    u64::from_str_radix(str::from_utf8(digits).ok()?, 8).ok()
}

fn is_blank(field: &[u8]) -> bool {
    field.iter().all(|byte| matches!(byte, 0 | b' '))
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_are_or_not_at_all() {
        for (field, value) in [
            (&b"00000000644\0"[..], Some(0o644)),
            (b"   644 \0    ", Some(0o644)),
            (b"77777777777\0", Some(OCTAL_SIZE_MAX)),
            (b"777777777777", Some(0o777_777_777_777)),
            (b"\0\0\0\0", None),
            (b"-1\0", None),
            (b"+1\0", None),
            (b"128\0", None),
            (b"1\x002\0", None),
            (b"\x80\0\0\0\0\0\0\0\0\0\x02\x01", Some(513)),
            (b"\x80\0\0\0\x01\0\0\0\0\0\0\0", Some(1 << 56)),
            (b"\x80\x01\0\0\0\0\0\0\0\0\0\x01", None),
            (b"\x81\0\0\0\0\0\0\0\0\0\0\x01", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        ] {
            assert_eq!(number(field), value, "{field:?}");
        }
    }
}
