//! A bot and an agent that know each other by their certificates.

use std::net::SocketAddr;
use std::process::Command;

use deploy_core::Fact;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};

use crate::running::Bot;
use crate::world::{World, bot, package, said};

const AGENT: [&str; 6] =
    ["--tls-cert", "agent.pem", "--tls-key", "agent.key", "--client-ca", "ca.pem"];

/// Writes an authority's certificate, and an agent's and a control node's of its hand.
fn write_certificates(world: &World) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    world.write("ca.pem", &authority.pem());
    let server = ("agent", "127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth);
    let client = ("control", "control", ExtendedKeyUsagePurpose::ClientAuth);
    for (file, name, usage) in [server, client] {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        world.write(&format!("{file}.pem"), &certificate.pem());
        world.write(&format!("{file}.key"), &key.serialize_pem());
    }
}

fn lead_over_https(world: &World, address: SocketAddr) {
    world.lead_to(address);
    let inventory = std::fs::read_to_string(world.path("inventory.toml")).unwrap();
    world.write("inventory.toml", &inventory.replace("http://", "https://"));
}

#[test]
fn a_bot_deploys_through_an_agent_that_asks_for_its_certificate() {
    let world = World::new(1);
    write_certificates(&world);
    let agent = world.start_agent_with("127.0.0.1:0", &AGENT);
    lead_over_https(&world, agent.address);
    let request = world.request("d1", &package("1"), "");
    let ca = world.path("ca.pem");
    // Without a certificate it is not heard, and whoever watches hears why at once.
    let mut nameless = world.deploy(&request, "inventory.toml");
    nameless.arg("--agent-ca").arg(&ca);
    let nameless = Bot::start(nameless);
    let refused = |fact: &Fact| match fact {
        Fact::AttemptFailed { failure } => failure.message.contains("CertificateRequired"),
        _ => false,
    };
    nameless.until(refused);
    nameless.kill();
    assert_eq!(world.version(1), None);

    let mut deploy = world.deploy(&request, "inventory.toml");
    deploy.arg("--agent-ca").arg(&ca);
    deploy.arg("--tls-cert").arg(world.path("control.pem"));
    deploy.arg("--tls-key").arg(world.path("control.key"));
    let output = deploy.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(world.version(1).as_deref(), Some("1"));
}

#[test]
fn what_is_no_certificate_is_told_with_its_file_and_ends_with_two() {
    let world = World::new(1);
    write_certificates(&world);
    let request = world.request("d1", &package("1"), "");
    let mut deploy = world.deploy(&request, "direct.toml");
    deploy.arg("--agent-ca").arg(&request).arg("--tls-cert").arg(world.path("control.pem"));
    let output = deploy.arg("--tls-key").arg(world.path("agent.key")).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    for told in ["d1.json: the root certificates are not valid", "agent.key: the certificate and"] {
        assert!(said(&output).contains(told), "{told} is missing in: {}", said(&output));
    }

    let mut agent = Command::new(bot());
    agent.args(["agent", "--listen", "127.0.0.1:0", "--state", "agent-state"]);
    agent.args(["--inventory", "direct.toml", "--token-file", "agent.token"]);
    let output = agent.args(["--client-ca", "ca.pem"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("--tls-cert"), "{}", said(&output));
}
