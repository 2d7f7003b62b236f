//! Which hosts are handed to an executor together.

use crate::model::Target;

/// Says whether two hosts are handed out as one task: those of one agent are, and those that are
/// reached directly over the same scheme.
pub(super) fn share_executor(one: &Target, other: &Target) -> bool {
    let agent = matches!(one.endpoint.scheme(), "http" | "https");
    if agent {
        one.endpoint == other.endpoint
    } else {
        one.endpoint.scheme() == other.endpoint.scheme()
    }
}

/// Hosts, in groups that are handed out as one task each.
pub(crate) fn together(hosts: Vec<Target>) -> Vec<Vec<Target>> {
    let mut groups: Vec<Vec<Target>> = Vec::new();
    for host in hosts {
        let shared = |group: &&mut Vec<Target>| share_executor(&group[0], &host);
        match groups.iter_mut().find(shared) {
            Some(group) => group.push(host),
            None => groups.push(vec![host]),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::batches::tests::target;
    use crate::model::Endpoint;

    fn reached(endpoint: &str) -> Target {
        let mut target = target(0);
        target.endpoint = Endpoint::new(endpoint).unwrap();
        target
    }

    #[test]
    fn hosts_of_one_agent_are_handed_out_together_and_direct_ones_by_their_scheme() {
        let shared = |one: &str, other: &str| share_executor(&reached(one), &reached(other));
        assert!(shared("http://127.0.0.1:1", "http://127.0.0.1:1"));
        assert!(!shared("http://127.0.0.1:1", "http://127.0.0.1:2"));
        assert!(shared("ssh://a", "ssh://b"));
        assert!(!shared("ssh://a", "local:/srv"));
        let hosts = ["ssh://a", "http://127.0.0.1:1", "ssh://b", "http://127.0.0.1:1"].map(reached);
        assert_eq!(together(hosts.into()).iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
    }
}
