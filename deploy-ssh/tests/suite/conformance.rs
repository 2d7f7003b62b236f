//! The contract of connectors, held over real sshd's: with each login shell that hosts have, through a jump
//! host, as another user.

use std::sync::Arc;

use deploy_core::{Connector, Secret};
use deploy_ssh::{Auth, Become, HostKeys, JumpHost, SshConnector, SshConnectorBuilder};
use deploy_testkit::conformance::ConnectorBench;
use deploy_testkit::{FleetUser, SshFleet};

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
deploy_testkit::connector_conformance!(fish, async |_clock| bench("/usr/bin/fish"));
deploy_testkit::connector_conformance!(tcsh, async |_clock| bench("/usr/bin/tcsh"));
deploy_testkit::connector_conformance!(behind_an_arc, async |_clock| {
    let fleet = SshFleet::start(1);
    let connector: Arc<dyn Connector> = Arc::new(builder(&fleet).build().unwrap());
    (ConnectorBench::new(connector, fleet.hosts()[0].target("/srv/app")), fleet)
});
/// A host that is reached through another one.
fn behind_a_jump_host() -> (ConnectorBench, SshFleet) {
    let fleet = SshFleet::start(2);
    let jump = JumpHost::new(fleet.hosts()[1].endpoint());
    let connector = builder(&fleet).jump(jump).build().unwrap();
    (ConnectorBench::new(connector, fleet.hosts()[0].target("/srv/app")), fleet)
}

/// A host on which scripts run as another user than the one who logs in.
fn as_another_user() -> (ConnectorBench, SshFleet) {
    let app = FleetUser::new("app").with_password("a pass\"word");
    let fleet = SshFleet::builder().user(FleetUser::new("deployer")).user(app).start(1).unwrap();
    let other = Become::su("app").with_password(Secret::new("a pass\"word"));
    let connector = builder(&fleet).run_as(other).build().unwrap();
    let host = &fleet.hosts()[0];
    let target = host.target_at(host.endpoint_as("deployer"), "/srv/app");
    (ConnectorBench::new(connector, target), fleet)
}

deploy_testkit::connector_conformance!(through_a_jump_host, async |_clock| behind_a_jump_host());
deploy_testkit::connector_conformance!(by_su, async |_clock| as_another_user());
deploy_testkit::remote_connector_conformance!(silent, async |_clock| bench("/bin/bash"));
deploy_testkit::connector_patience_conformance!(patience, async |_clock| bench("/bin/dash"));
