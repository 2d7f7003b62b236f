//! Texts that people give a deployment, carried along and never interpreted.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::name::text_type;
use crate::document::{Decode, Invalid, Node, decode_text, deserialize_by_decode};

fn check_reference(text: &str) -> Result<(), Invalid> {
    check_text(text, 128)
}

fn check_title(text: &str) -> Result<(), Invalid> {
    check_text(text, 512)
}

fn check_text(text: &str, longest: usize) -> Result<(), Invalid> {
    if !text.trim().is_empty() && text.len() <= longest && !text.chars().any(char::is_control) {
        return Ok(());
    }
    let allowed = format!("1 to {longest} bytes of text on one line, without control characters");
    Err(Invalid::new(text, allowed))
}

/// Lower case alone, so that nobody is two persons by the case of a letter.
fn check_person(text: &str) -> Result<(), Invalid> {
    let head = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let tail = |c: &u8| head(*c) || matches!(c, b'.' | b'_' | b'-' | b'+' | b'@');
    let bytes = text.as_bytes();
    if bytes.first().is_some_and(|c| head(*c)) && bytes.len() <= 128 && bytes.iter().all(tail) {
        return Ok(());
    }
    let allowed = "1 to 128 of the characters a-z, 0-9, '.', '_', '-', '+' and '@', the first a letter or digit";
    Err(Invalid::new(text, allowed))
}

text_type!(
    /// A person, or a system that acts like one, by the name that the host application knows: a
    /// login, an address of e-mail.
    Person,
    check_person
);
text_type!(
    /// The number of the work order that asks for a deployment.
    WorkOrder,
    check_reference
);
text_type!(
    /// The number of the requirement that a deployment delivers.
    RequirementId,
    check_reference
);
text_type!(
    /// The name of the requirement that a deployment delivers.
    RequirementName,
    check_title
);
