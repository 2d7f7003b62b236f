//! Hosts that have nothing but sshd, through the release bot's real processes.

use std::path::Path;
use std::process::Command;

use deploy_testkit::SshFleet;

use crate::world::{World, bot, package, said};

const HOOKS: &str = r#", "release": {"hooks": {"after_switch": ["./run"]}},
    "rollout": {"batches": ["1", "100%"]}"#;

/// The hosts of a fleet and the project on them, with more of the inventory.
pub(crate) fn inventory(fleet: &SshFleet, more: &str) -> String {
    let mut text = more.to_owned();
    for host in fleet.hosts() {
        let (name, endpoint) = (host.name(), host.endpoint());
        text += &format!(
            "\n[[host]]\nname = \"{name}\"\naddress = \"127.0.0.1\"\nendpoint = \"{endpoint}\"\n"
        );
    }
    let root = fleet.directory().join("{host.name}/files/srv/app");
    text += &format!(
        "\n[[project]]\nbusiness = \"b\"\nname = \"p\"\nhosts = [\"*\"]\nroot = \"{}\"\n",
        root.display()
    );
    text
}

/// The table `[ssh]` for a fleet.
pub(crate) fn table(identity: &Path, known_hosts: &Path) -> String {
    let (identity, known_hosts) = (identity.display(), known_hosts.display());
    format!("[ssh]\nidentity = \"{identity}\"\nknown_hosts = \"{known_hosts}\"\n")
}

/// The versions that are current on the hosts.
fn versions(fleet: &SshFleet) -> Vec<Option<String>> {
    let version = |path: &Path| std::fs::read_to_string(path.join("srv/app/current/VERSION")).ok();
    fleet.hosts().iter().map(|host| version(host.directory())).collect()
}

/// Adds the key and the known hosts of a fleet to a command line.
fn with_keys<'a>(command: &'a mut Command, fleet: &SshFleet) -> &'a mut Command {
    command.arg("--identity").arg(fleet.identity()).arg("--known-hosts").arg(fleet.known_hosts())
}

#[test]
fn a_request_is_deployed_over_ssh_with_a_key_and_known_hosts_of_the_command_line() {
    let (world, fleet) = (World::new(0), SshFleet::start(2));
    // What the command line says counts in the inventory's place.
    let wrong = table(Path::new("/nowhere/id"), Path::new("/nowhere/known_hosts"));
    world.write("ssh.toml", &inventory(&fleet, &wrong));
    let request = world.request("d1", &package("1"), HOOKS);
    let output = with_keys(&mut world.deploy(&request, "ssh.toml"), &fleet).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(versions(&fleet), [Some("1".to_owned()), Some("1".to_owned())]);
    for host in fleet.hosts() {
        let runs = std::fs::read_to_string(host.directory().join("srv/app/runs")).unwrap();
        assert_eq!(runs, format!("{} after_switch\n", host.name()));
    }
}

#[test]
fn an_agent_reaches_its_hosts_over_ssh_as_its_inventory_says() {
    let (world, fleet) = (World::new(0), SshFleet::start(2));
    for (to, from) in [("id", fleet.identity()), ("known_hosts", fleet.known_hosts())] {
        std::fs::copy(from, world.path(to)).unwrap();
    }
    // Files of the table are relative to the inventory.
    let table = table(Path::new("id"), Path::new("known_hosts"));
    world.write("direct.toml", &inventory(&fleet, &table));
    let agent = world.agent("127.0.0.1:0");
    let names: Vec<_> = fleet.hosts().iter().map(|host| host.name().to_string()).collect();
    world.lead_to_hosts(
        agent.address,
        &names,
        &fleet.directory().join("{host.name}/files/srv/app"),
    );
    let request = world.request("d1", &package("1"), HOOKS);
    let output = world.deploy(&request, "inventory.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(versions(&fleet), [Some("1".to_owned()), Some("1".to_owned())]);
    drop(agent);
}

#[test]
fn an_ssh_config_leads_to_hosts_by_the_names_that_it_gives_them() {
    let (world, fleet) = (World::new(0), SshFleet::start(2));
    let mut config = String::from("Host host-*\n  StrictHostKeyChecking no\n");
    let mut text = inventory(&fleet, "[ssh]\nconfig = \"ssh_config\"\n");
    let known = std::fs::read_to_string(fleet.known_hosts()).unwrap();
    let mut aliases = String::new();
    for (host, line) in fleet.hosts().iter().zip(known.lines()) {
        let (name, url) = (host.name(), host.endpoint());
        let (user, port) = (url.url().username(), host.address().port());
        config += &format!(
            "Host {name}\n  HostName 127.0.0.1\n  User {user}\n  Port {port}\n  HostKeyAlias of-{name}\n"
        );
        text = text.replace(&format!("\"{url}\""), &format!("\"ssh://{name}\""));
        aliases += &format!("of-{name} {}\n", line.split_once(' ').unwrap().1);
    }
    let aliases = world.write("aliases", &aliases);
    let (identity, known) = (fleet.identity().display(), aliases.display());
    config += &format!("Host *\n  IdentityFile {identity}\n  UserKnownHostsFile {known}\n");
    world.write("ssh_config", &config);
    world.write("ssh.toml", &text);
    let request = world.request("d1", &package("1"), HOOKS);
    let output = world.deploy(&request, "ssh.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(versions(&fleet), [Some("1".to_owned()), Some("1".to_owned())]);
}

#[test]
fn hosts_behind_others_are_reached_through_them() {
    let (world, fleet, gates) = (World::new(0), SshFleet::start(1), SshFleet::start(2));
    let known: Vec<_> =
        [&fleet, &gates].map(|f| std::fs::read_to_string(f.known_hosts()).unwrap()).into();
    let known = world.write("known_hosts", &known.concat());
    let through: Vec<_> =
        gates.hosts().iter().map(|gate| format!("\"{}\"", gate.endpoint())).collect();
    // Each fleet lets in a key of its own: both are tried.
    let more = format!(
        "[ssh]\nidentity = [\"{}\", \"{}\"]\nknown_hosts = \"{}\"\njump = [{}]\n",
        gates.identity().display(),
        fleet.identity().display(),
        known.display(),
        through.join(", ")
    );
    world.write("ssh.toml", &inventory(&fleet, &more));
    let request = world.request("d1", &package("1"), HOOKS);
    let output = world.deploy(&request, "ssh.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(versions(&fleet), [Some("1".to_owned())]);
    let logins: Vec<_> = gates.hosts().iter().map(deploy_testkit::SshHost::logins).collect();
    assert_eq!(logins, [1, 1]);

    // The same by an ssh config, with the keys of the hosts to go through for them alone.
    let gate = &gates.hosts()[0];
    let config = format!(
        "Host gate\n HostName 127.0.0.1\n Port {}\n IdentityFile {}\nMatch all\n\
         UserKnownHostsFile {}\nHost 127.*\n IdentityFile {}\n ProxyJump {}@gate\n",
        gate.address().port(),
        gates.identity().display(),
        known.display(),
        fleet.identity().display(),
        gate.endpoint().url().username(),
    );
    let config = world.write("ssh_config", &config);
    let more = format!("[ssh]\nconfig = \"{}\"\n", config.display());
    world.write("ssh.toml", &inventory(&fleet, &more));
    let request = world.request("d2", &package("2"), HOOKS);
    let output = world.deploy(&request, "ssh.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(versions(&fleet), [Some("2".to_owned())]);
    assert_eq!((gate.logins(), gates.hosts()[1].logins()), (2, 1));
}

#[test]
fn a_host_whose_key_changed_gets_nothing_and_the_key_that_is_known_is_told() {
    let (world, fleet) = (World::new(0), SshFleet::start(1));
    world.write("ssh.toml", &inventory(&fleet, ""));
    let host = &fleet.hosts()[0];
    let known = host.fingerprint();
    host.swap_key();
    let request = world.request("d1", &package("1"), HOOKS);
    let output = with_keys(&mut world.deploy(&request, "ssh.toml"), &fleet).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    for part in [known, host.fingerprint(), format!("{}:1", fleet.known_hosts().display())] {
        assert!(said(&output).contains(&part), "{part} is missing in: {}", said(&output));
    }
    assert_eq!(host.logins(), 0);
    assert_eq!(versions(&fleet), [None]);
}

#[test]
fn check_says_by_which_key_a_host_is_known_and_which_is_not() {
    let (world, fleet) = (World::new(0), SshFleet::start(2));
    world.write("ssh.toml", &inventory(&fleet, ""));
    let request = world.request("d1", &package("1"), "");
    let check = |known_hosts: &Path| {
        let mut command = Command::new(bot());
        command.arg("check").arg(&request).arg("--inventory").arg(world.path("ssh.toml"));
        command.arg("--identity").arg(fleet.identity()).arg("--known-hosts").arg(known_hosts);
        command.output().unwrap()
    };
    let output = check(fleet.known_hosts());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(said(&output).matches("a key on file: ssh-ed25519").count(), 2, "{}", said(&output));
    let known = std::fs::read_to_string(fleet.known_hosts()).unwrap();
    let first = world.write("first", known.lines().next().unwrap());
    let output = check(&first);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let unknown = format!("no key is known of {}", fleet.hosts()[1].endpoint());
    assert!(said(&output).contains(&unknown), "{}", said(&output));
    assert_eq!(fleet.hosts()[0].connections(), 0);
}

#[test]
fn what_is_missing_for_ssh_is_told_at_once_before_anything_begins() {
    let (world, fleet) = (World::new(0), SshFleet::start(2));
    let request = world.request("d1", &package("1"), "");
    let refused = |more: &str, parts: &[&str]| {
        world.write("ssh.toml", &inventory(&fleet, more));
        let mut deploy = world.deploy(&request, "ssh.toml");
        let output = deploy.env_remove("SSH_AUTH_SOCK").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        for part in parts {
            assert!(said(&output).contains(part), "{part} is missing in: {}", said(&output));
        }
    };
    refused("", &["known_hosts in [ssh], or --known-hosts FILE"]);
    let known = fleet.known_hosts().display();
    refused(
        &format!("[ssh]\nknown_hosts = \"{known}\"\n"),
        &["no way to log in", "--identity FILE"],
    );
    refused(
        &format!("[ssh]\nknown_hosts = \"{known}\"\nidentity = \"none\"\n"),
        &["the key", "none cannot be read"],
    );
    world.write("bad", "web-1\nx y z\n");
    refused("[ssh]\nknown_hosts = \"bad\"\n", &["bad:1: ", "bad:2: "]);
    world.write("config", "Host *\n ProxyCommand nc %h\n");
    refused("[ssh]\nconfig = \"config\"\n", &["config:2: ProxyCommand is not supported"]);
    assert_eq!(fleet.hosts()[0].connections(), 0);
}
