//! How many connections each peer has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The connections of each peer's address.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl Peers {
    /// Counts a connection of a peer, unless it has as many as it may.
    pub(super) fn admit(&self, peer: IpAddr, most: usize) -> Option<PeerGuard> {
        let peer = peer.to_canonical();
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = peers.entry(peer).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(PeerGuard {
            peers: self.clone(),
            peer,
        })
    }
}

/// A connection that counts until this is dropped.
#[derive(Debug)]
pub(super) struct PeerGuard {
    peers: Peers,
    peer: IpAddr,
}

impl Drop for PeerGuard {
    fn drop(&mut self) {
        let mut peers = self.peers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = peers.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                peers.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_so_many_connections_and_no_more_in_either_form_of_its_address() {
        let peers = Peers::default();
        let (short, long) = ("10.0.0.1", "::ffff:10.0.0.1");
        let admit = |peer: &str| peers.admit(peer.parse().unwrap(), 2);
        let (first, _second) = (admit(short).unwrap(), admit(long).unwrap());
        assert!(admit(short).is_none());
        assert!(admit("10.0.0.2").is_some());
        drop(first);
        assert!(admit(long).is_some());
    }
}
