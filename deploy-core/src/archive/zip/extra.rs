//! The extra fields of a zip record, as far as they could change what it says.

use super::super::error::ArchiveError;
use super::fields::{short, wide};

const ZIP64: u16 = 0x0001;
const UNICODE_NAME: u16 = 0x7075;

/// Bytes before the name in a unicode name field: its version, and a checksum of the plain name.
const UNICODE_NAME_HEAD: usize = 5;

/// The extra fields that matter here.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extra<'a> {
    pub(super) zip64: Option<&'a [u8]>,
    unicode_name: Option<&'a [u8]>,
}

impl<'a> Extra<'a> {
    pub(super) fn parse(mut bytes: &'a [u8]) -> Result<Self, ArchiveError> {
        let malformed = || ArchiveError::damaged("a zip record has a malformed extra field");
        let mut extra = Self::default();
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_at_checked(4).ok_or_else(malformed)?;
            let length = usize::from(short(head, 2));
            let (field, rest) = rest.split_at_checked(length).ok_or_else(malformed)?;
            let earlier = match short(head, 0) {
                ZIP64 => extra.zip64.replace(field),
                UNICODE_NAME => extra.unicode_name.replace(field),
                _ => None,
            };
            if earlier.is_some() {
                return Err(malformed());
            }
            bytes = rest;
        }
        Ok(extra)
    }

    /// Refuses a second name that differs from the first.
    pub(super) fn check_name(&self, name: &[u8]) -> Result<(), ArchiveError> {
        match self.unicode_name {
            Some(field) if field.get(UNICODE_NAME_HEAD..) != Some(name) => {
                Err(ArchiveError::damaged("a zip record has two different names"))
            }
            _ => Ok(()),
        }
    }

    /// Replaces the fields of a record that are left to zip64. The extra field has to hold those
    /// and no others, or repeat what the record says.
    pub(super) fn widen<const N: usize>(&self, fields: [u32; N]) -> Result<[u64; N], ArchiveError> {
        let mut wide_fields = fields.map(u64::from);
        let is_left = |field: &u64| *field == u64::from(u32::MAX);
        let left = wide_fields.iter().filter(|field| is_left(field)).count();
        let Some(zip64) = self.zip64 else {
            return match left {
                0 => Ok(wide_fields),
                _ => Err(disagree()),
            };
        };
        let mut values = zip64.chunks_exact(8).map(|value| wide(value, 0));
        if left == 0 {
            return if values.zip(wide_fields).all(|(value, field)| value == field) {
                Ok(wide_fields)
            } else {
                Err(disagree())
            };
        }
        if zip64.len() != 8 * left {
            return Err(disagree());
        }
        for field in wide_fields.iter_mut().filter(|field| is_left(field)) {
            *field = values.next().ok_or_else(disagree)?;
        }
        Ok(wide_fields)
    }
}

fn disagree() -> ArchiveError {
    ArchiveError::damaged("a zip record and its zip64 field disagree")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zip64(values: &[u64]) -> Vec<u8> {
        let mut field = vec![1, 0, (8 * values.len()) as u8, 0];
        field.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        field
    }

    #[test]
    fn only_what_is_left_to_zip64_is_taken_from_it() {
        let left = u32::MAX;
        for (values, fields, widened) in [
            (&[5_000_000_000][..], [7, left], Some([7, 5_000_000_000])),
            (&[8, 9], [left, left], Some([8, 9])),
            (&[7, 9], [7, 9], Some([7, 9])),
            (&[7], [7, 9], Some([7, 9])),
            (&[8], [7, 9], None),
            (&[8], [left, left], None),
            (&[8, 9], [left, 9], None),
        ] {
            let bytes = zip64(values);
            let extra = Extra::parse(&bytes).unwrap();
            assert_eq!(extra.widen(fields).ok(), widened, "{values:?} {fields:?}");
        }
        assert!(Extra::default().widen([left]).is_err());
    }

    #[test]
    fn a_malformed_or_repeated_field_is_refused() {
        assert!(Extra::parse(&[1, 0, 4, 0, 1]).is_err());
        assert!(Extra::parse(&[0, 0, 0]).is_err());
        assert!(Extra::parse(&[zip64(&[1]), zip64(&[1])].concat()).is_err());
    }

    #[test]
    fn a_second_name_has_to_be_the_first() {
        let field = [&[0x75, 0x70, 6, 0, 1, 0, 0, 0, 0][..], b"a"].concat();
        let extra = Extra::parse(&field).unwrap();
        assert!(extra.check_name(b"a").is_ok());
        assert!(extra.check_name(b"b").is_err());
    }
}
