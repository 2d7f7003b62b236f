//! Who the host is, and who we are.

use deploy_core::ConnectError;
use deploy_ssh::HostKeys;

use crate::support::{Sshd, context, make_key};

fn reason(error: ConnectError) -> String {
    match error {
        ConnectError::Rejected { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_host_with_another_key_learns_nothing_about_us() {
    let sshd = Sshd::start();
    make_key(&sshd.path("other"), "");
    std::fs::rename(sshd.path("host.pub"), sshd.path("true.pub")).unwrap();
    std::fs::rename(sshd.path("other.pub"), sshd.path("host.pub")).unwrap();
    let pinned = HostKeys::pinned([sshd.fingerprint()]);
    let connector = sshd.builder().host_keys(pinned).build().unwrap();
    let error = connector.open(&context(), &sshd.endpoint()).await.unwrap_err();
    assert!(reason(error).contains("none of those that are pinned"));
    assert!(!sshd.log().contains("userauth-request"), "{}", sshd.log());
}

#[tokio::test]
async fn a_key_logs_in() {
    let sshd = Sshd::start();
    drop(sshd.session().await);
    assert!(sshd.log().contains("userauth-request for user root"), "{}", sshd.log());
}
