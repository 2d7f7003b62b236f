//! The contract of connectors, held over real sshd's with each login shell that hosts have.

use std::sync::Arc;

use deploy_core::Connector;
use deploy_ssh::{Auth, HostKeys, SshConnector, SshConnectorBuilder};
use deploy_testkit::SshFleet;
use deploy_testkit::conformance::ConnectorBench;

/// A connector that knows the hosts of a fleet and has its key.
pub(crate) fn builder(fleet: &SshFleet) -> SshConnectorBuilder {
    let fingerprints = fleet.hosts().iter().map(deploy_testkit::SshHost::fingerprint);
    SshConnector::builder()
        .host_keys(HostKeys::pinned(fingerprints.map(|text| text.parse().unwrap())))
        .auth(Auth::key_file(fleet.identity()))
}

/// A host with a login shell, and one that says nothing.
fn bench(shell: &str) -> (ConnectorBench, SshFleet) {
    let fleet = SshFleet::builder().login_shell(shell).start(2).unwrap();
    let connector = builder(&fleet).build().unwrap();
    fleet.hosts()[1].hang();
    let targets = fleet.targets("/srv/app");
    (ConnectorBench::new(connector, targets[0].clone()).with_silent(targets[1].clone()), fleet)
}

deploy_testkit::connector_conformance!(bash, async |_clock| bench("/bin/bash"));
deploy_testkit::connector_conformance!(dash, async |_clock| bench("/bin/dash"));
deploy_testkit::connector_conformance!(busybox, async |_clock| bench("/bin/busybox"));
deploy_testkit::connector_conformance!(behind_an_arc, async |_clock| {
    let fleet = SshFleet::start(1);
    let connector: Arc<dyn Connector> = Arc::new(builder(&fleet).build().unwrap());
    (ConnectorBench::new(connector, fleet.hosts()[0].target("/srv/app")), fleet)
});
deploy_testkit::remote_connector_conformance!(silent, async |_clock| bench("/bin/bash"));
deploy_testkit::connector_patience_conformance!(patience, async |_clock| bench("/bin/dash"));
