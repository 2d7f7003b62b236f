use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use proptest::collection::vec;
use proptest::prelude::{Just, any, prop_assert_eq, prop_oneof, proptest};
use sha1::Sha1;

use super::*;

/// A key of a type, told apart by a number.
fn key(algorithm: &str, number: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [algorithm.as_bytes(), &[number; 32]] {
        bytes.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
        bytes.extend(part);
    }
    bytes
}

fn ed(number: u8) -> Vec<u8> {
    key("ssh-ed25519", number)
}

fn line(names: &str, key: &[u8]) -> String {
    let algorithm = String::from_utf8_lossy(&key[4..4 + usize::from(key[3])]).into_owned();
    format!("{names} {algorithm} {}\n", STANDARD.encode(key))
}

fn parse(text: &str) -> KnownHosts {
    KnownHosts::parse(text.as_bytes()).unwrap()
}

fn hashed(name: &str, salt: [u8; 20]) -> String {
    let mac = Hmac::<Sha1>::new_from_slice(&salt).unwrap().chain_update(name);
    format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(mac.finalize().into_bytes()))
}

#[test]
fn a_host_is_known_by_any_of_its_keys_and_changed_by_any_other() {
    let known = parse(&(line("web-1,10.0.0.1", &ed(1)) + &line("web-1", &key("ssh-rsa", 2))));
    assert_eq!(known.check("web-1", 22, &ed(1)), HostKeyVerdict::Known);
    assert_eq!(known.check("WEB-1", 22, &key("ssh-rsa", 2)), HostKeyVerdict::Known);
    assert_eq!(known.check("10.0.0.1", 22, &ed(1)), HostKeyVerdict::Known);
    assert_eq!(known.check("web-2", 22, &ed(1)), HostKeyVerdict::Unknown);
    let HostKeyVerdict::Changed { known: keys } = known.check("web-1", 22, &ed(3)) else {
        panic!("another key is accepted");
    };
    let shown: Vec<_> = keys.iter().map(ToString::to_string).collect();
    let expected = [
        format!("ssh-ed25519 {} (line 1)", Fingerprint::of(&ed(1))),
        format!("ssh-rsa {} (line 2)", Fingerprint::of(&key("ssh-rsa", 2))),
    ];
    assert_eq!(shown, expected);
    assert_eq!(known.algorithms("web-1", 22), ["ssh-ed25519", "ssh-rsa"]);
    assert_eq!(known.algorithms("10.0.0.1", 22), ["ssh-ed25519"]);
}

#[test]
fn another_port_is_another_host() {
    let known = parse(&(line("web-1", &ed(1)) + &line("[web-1]:2222,[::1]:2222", &ed(2))));
    assert_eq!(known.check("web-1", 2222, &ed(2)), HostKeyVerdict::Known);
    assert_eq!(known.check("::1", 2222, &ed(2)), HostKeyVerdict::Known);
    assert_eq!(known.check("[::1]", 2222, &ed(2)), HostKeyVerdict::Known);
    assert!(matches!(known.check("web-1", 2222, &ed(1)), HostKeyVerdict::Changed { .. }));
    assert_eq!(known.check("web-1", 2223, &ed(1)), HostKeyVerdict::Unknown);
    assert!(matches!(known.check("web-1", 22, &ed(2)), HostKeyVerdict::Changed { .. }));
}

#[test]
fn wildcards_and_exclusions_select_hosts() {
    let known = parse(&line("*.example.org,!db.example.org,[10.0.0.?]:*", &ed(1)));
    assert_eq!(known.check("web.example.org", 22, &ed(1)), HostKeyVerdict::Known);
    assert_eq!(known.check("db.example.org", 22, &ed(1)), HostKeyVerdict::Unknown);
    assert_eq!(known.check("10.0.0.7", 2022, &ed(1)), HostKeyVerdict::Known);
    assert_eq!(known.check("10.0.0.7", 22, &ed(1)), HostKeyVerdict::Unknown);
}

#[test]
fn what_is_revoked_stays_revoked_whatever_else_says_so() {
    let text = line("web-1,[web-1]:2222", &ed(1)) + "@revoked " + &line("web-*", &ed(1));
    let known = parse(&text);
    assert_eq!(known.check("web-1", 22, &ed(1)), HostKeyVerdict::Revoked);
    assert_eq!(known.check("web-1", 2222, &ed(1)), HostKeyVerdict::Revoked);
    assert_eq!(known.check("db-1", 22, &ed(1)), HostKeyVerdict::Unknown);
    let later =
        parse(&line("web-1", &ed(1))).merge(parse(&("@revoked ".to_owned() + &line("*", &ed(1)))));
    assert_eq!(later.check("web-1", 22, &ed(1)), HostKeyVerdict::Revoked);
    // A revoked key is none by which the host is known.
    assert_eq!(later.check("web-2", 22, &ed(2)), HostKeyVerdict::Unknown);
    assert!(later.algorithms("web-2", 22).is_empty());
}

#[test]
fn certificate_authorities_are_passed_over_and_told() {
    let known =
        parse(&format!("@cert-authority {}# a comment\n\nweb-1 1024 35 1234\n", line("*", &ed(1))));
    assert_eq!(known.check("web-1", 22, &ed(1)), HostKeyVerdict::Unknown);
    let skipped: Vec<_> = known.skipped().map(|(place, _)| place.line).collect();
    assert_eq!(skipped, [1, 4]);
}

#[test]
fn line_ends_of_other_systems_comments_and_new_types_are_read() {
    let text = line("web-1", &ed(1)).replace('\n', " root@web-1\r\n")
        + "\r\n  # indented\r\n\t"
        + &line("web-1", &key("ssh-future@example.org", 9));
    let known = parse(&text);
    assert_eq!(known.check("web-1", 22, &ed(1)), HostKeyVerdict::Known);
    assert_eq!(known.algorithms("web-1", 22), ["ssh-ed25519", "ssh-future@example.org"]);
}

#[test]
fn every_damaged_line_is_named_at_once() {
    let good = line("web-1", &ed(1));
    let other = good.replace("ssh-ed25519", "ssh-rsa");
    let short = format!("web-1 ssh-ed25519 {}\n", STANDARD.encode(&ed(1)[..40]));
    let text = format!(
        "{good}web-1\nweb-1 ssh-ed25519 %%%\n{other}{short}@trusted {good}|2|a|b {good},{good}"
    );
    let error = KnownHosts::parse(text.as_bytes()).unwrap_err();
    let KnownHostsError::Malformed { faults } = &error else { panic!("{error}") };
    let lines: Vec<_> = faults.iter().map(|fault| fault.place.line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8]);
    let message = error.to_string();
    for part in [
        "line 4: a key of the type \"ssh-ed25519\", not ssh-rsa",
        "line 5: a key that is cut short",
    ] {
        assert!(message.contains(part), "{part} is missing in: {message}");
    }
}

#[test]
fn the_message_about_a_file_that_is_none_stays_short() {
    let error = KnownHosts::parse("x\n".repeat(10_000).as_bytes()).unwrap_err();
    assert!(error.to_string().len() < 4_000);
    assert!(error.to_string().contains("and 9980 lines more"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = KnownHosts::load(Path::new("/nowhere/known_hosts")).unwrap_err();
    assert!(matches!(error, KnownHostsError::Unreadable { .. }));
    assert!(error.to_string().contains("/nowhere/known_hosts"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..400)) {
        let _ = KnownHosts::parse(&bytes);
    }

    #[test]
    fn anything_like_a_file_is_read_or_refused(parts in vec(prop_oneof![
        Just("@revoked"), Just("@cert-authority"), Just(" "), Just("\n"), Just("|1|"), Just("|"),
        Just("*"), Just("!"), Just(","), Just("web-1"), Just("ssh-ed25519"), Just("AAAA"),
        Just("AAAAC3NzaC1lZDI1NTE5"), Just("="), Just("[::1]:22"), Just("\r"), Just("#"),
    ], 0..60)) {
        if let Ok(known) = KnownHosts::parse(parts.concat().as_bytes()) {
            prop_assert_eq!(known.check("web-1", 22, &ed(1)), HostKeyVerdict::Unknown);
        }
    }

    #[test]
    fn a_hashed_name_is_found_as_the_plain_one_is(
        name in "[a-z0-9.-]{1,20}", other in "[a-z0-9.-]{1,20}", port in 1_u16..,
        salt in any::<[u8; 20]>(),
    ) {
        let written = if port == 22 { name.clone() } else { format!("[{name}]:{port}") };
        let plain = parse(&line(&written, &ed(1)));
        let hidden = parse(&line(&hashed(&written, salt), &ed(1)));
        for host in [&name, &other] {
            for port in [port, 22, 2222] {
                prop_assert_eq!(plain.check(host, port, &ed(1)), hidden.check(host, port, &ed(1)));
                prop_assert_eq!(plain.algorithms(host, port), hidden.algorithms(host, port));
            }
        }
        prop_assert_eq!(hidden.check(&name, port, &ed(1)), HostKeyVerdict::Known);
    }
}
