//! Which addresses nobody may be sent to by a URL alone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is special about an address, where something is: the reason why it is not contacted.
///
/// Addresses that carry an IPv4 address inside (mapped, compatible, NAT64, 6to4, Teredo) are judged by
/// the one they carry.
pub(crate) fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

/// Says whether an address is this machine's own, in whatever form it is written.
pub(crate) fn is_loopback(address: IpAddr) -> bool {
    special(address) == Some(LOOPBACK)
}

const LOOPBACK: &str = "loopback addresses are not allowed";
const METADATA: &str = "the addresses of clouds' metadata services are not allowed";

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        // Linux takes 0.0.0.0 as this machine.
        [0, ..] => Some("unspecified addresses are not allowed"),
        [127, ..] => Some(LOOPBACK),
        [169, 254, 169, 254] => Some(METADATA),
        [169, 254, ..] => Some("link-local addresses are not allowed"),
        // Alibaba Cloud, Oracle Cloud, and the host side of Azure.
        [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => Some(METADATA),
        [224..=239, ..] => Some("multicast addresses are not allowed"),
        [240..=255, ..] => Some("reserved and broadcast addresses are not allowed"),
        _ => None,
    }
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    if address.is_loopback() {
        return Some(LOOPBACK);
    }
    if address.is_unspecified() {
        return Some("unspecified addresses are not allowed");
    }
    match address.segments() {
        [0xfe80..=0xfebf, ..] => return Some("link-local addresses are not allowed"),
        [0xff00..=0xffff, ..] => return Some("multicast addresses are not allowed"),
        // Amazon, which has credentials at more than one address, Google Cloud, Oracle Cloud,
        // Scaleway, Linode, Alibaba Cloud.
        [0xfd00, 0x0ec2, ..]
        | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254]
        | [0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe]
        | [0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042]
        | [0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1]
        | [0xfd00, 0x0100, 0, 0, 0, 0, 0x0100, 0x0200] => return Some(METADATA),
        _ => {}
    }
    carried(address).and_then(special_v4)
}

/// The IPv4 address that an IPv6 address carries.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        // IPv4-mapped (::ffff:a.b.c.d), IPv4-translated (::ffff:0:a.b.c.d), IPv4-compatible (::a.b.c.d).
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => {
            Some(join(high, low))
        }
        // NAT64, the well-known and the local prefix (RFC 6052, RFC 8215).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => {
            Some(join(high, low))
        }
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => Some(join(high, low)),
        // Teredo (RFC 4380): inverted.
        [0x2001, 0, _, _, _, _, high, low] => Some(join(!high, !low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_known_in_every_form() {
        for text in [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
            "fd00:a9fe:a9fe::1",
            "fd00:100::100:200",
            "::ffff:127.0.0.1",
            "::ffff:0:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::7f00:1",
            "2002:7f00:1::1",
            "2001:0:1:2:3:4:80ff:fffe",
        ] {
            assert!(special(text.parse().unwrap()).is_some(), "{text}");
        }
    }

    #[test]
    fn private_and_public_addresses_are_ordinary() {
        for text in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "93.184.216.34",
            "fd12::1",
            "fd20:ce::1",
            "2606:2800:220:1::1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
        ] {
            assert_eq!(special(text.parse().unwrap()), None, "{text}");
        }
    }
}
