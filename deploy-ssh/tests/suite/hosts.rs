//! The hosts of an inventory, as its table `[ssh]`, an ssh config and the program's options say.

use std::fs;
use std::path::Path;

use deploy_core::model::{HostName, Target};
use deploy_core::{ConnectError, Connector, Exit, Inventory};
use deploy_ssh::{KnownHosts, LocalUser, SshFaultKind, SshHosts, SshOptions, SshUnusable};
use deploy_testkit::{FleetUser, SshFleet};
use tempfile::TempDir;

use crate::support::{Sshd, context, run};

/// Loads an inventory with these hosts and more, next to files that it may name.
fn inventory(directory: &Path, hosts: &[(&str, &str)], more: &str) -> Inventory {
    let mut text = more.to_owned();
    for (name, endpoint) in hosts {
        text += &format!(
            "\n[[host]]\nname = \"{name}\"\naddress = \"127.0.0.1\"\nendpoint = \"{endpoint}\"\n"
        );
    }
    text += "\n[[project]]\nbusiness = \"b\"\nname = \"p\"\nhosts = [\"*\"]\nroot = \"/srv/p\"\n";
    let path = directory.join("inventory.toml");
    fs::write(&path, text).unwrap();
    Inventory::load(&path).unwrap()
}

/// What is wrong, a line each.
fn faults(found: Result<SshHosts, SshUnusable>) -> Vec<String> {
    found.unwrap_err().faults.iter().map(ToString::to_string).collect()
}

fn somebody() -> LocalUser {
    LocalUser::new("me", "/home/me")
}

fn target(inventory: &Inventory, name: &str) -> Target {
    let (business, project) = ("b".parse().unwrap(), "p".parse().unwrap());
    let targets = inventory.targets(&business, &project).unwrap();
    targets.into_iter().find(|target| target.host.as_str() == name).unwrap()
}

fn name(text: &str) -> HostName {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_host_is_reached_as_its_inventory_says_and_no_other() {
    let sshd = Sshd::start();
    let key = fs::read_to_string(sshd.path("host.pub")).unwrap();
    let port = sshd.address.port();
    fs::write(sshd.path("known"), format!("[127.0.0.1]:{port} {key}")).unwrap();
    let table = "[ssh]\nuser = \"root\"\nidentity = \"client\"\nknown_hosts = \"known\"\n";
    let endpoint = format!("ssh://127.0.0.1:{port}");
    let inventory =
        inventory(sshd.directory.path(), &[("web-1", &endpoint), ("web-2", "local:/srv")], table);
    let hosts = SshHosts::of(&inventory, &SshOptions::new()).unwrap();
    let session = hosts.connect(context(), target(&inventory, "web-1")).await.unwrap();
    let ran = run(&*session, "echo here", Vec::new()).await;
    assert_eq!((ran.exit.unwrap(), &ran.stdout[..]), (Exit::Exited(0), &b"here\n"[..]));
    let other = hosts.connect(context(), target(&inventory, "web-2")).await.unwrap_err();
    assert!(matches!(other, ConnectError::Unsupported { .. }), "{other}");
    assert_eq!(hosts.known_keys(&name("web-1")), Some(&["ssh-ed25519".to_owned()][..]));
    assert_eq!(hosts.known_keys(&name("web-2")), None);
}

#[tokio::test]
async fn scripts_run_as_whom_the_table_says() {
    let deployer = FleetUser::new("deployer").with_password("one").with_sudo("ALL=(app:app) ALL");
    let app = FleetUser::new("app").with_password("two");
    let fleet = SshFleet::builder().user(deployer).user(app).start(1).unwrap();
    fs::write(fleet.directory().join("one"), "one\n").unwrap();
    fs::write(fleet.directory().join("two"), "two\n").unwrap();
    let endpoint = fleet.hosts()[0].endpoint_as("deployer").to_string();
    // sudo asks for the password of the user who logs in, su for that of the other one.
    for other in
        ["sudo = \"app\"\nsudo_password_file = \"one\"", "su = \"app\"\nsu_password_file = \"two\""]
    {
        let table =
            format!("[ssh]\nidentity = \"identity\"\nknown_hosts = \"known_hosts\"\n{other}\n");
        let inventory = inventory(fleet.directory(), &[("web-1", &endpoint)], &table);
        let hosts = SshHosts::of(&inventory, &SshOptions::new()).unwrap();
        let session = hosts.connect(context(), target(&inventory, "web-1")).await.unwrap();
        let ran = run(&*session, "id -un; cat", b"in".to_vec()).await;
        assert_eq!(ran.exit.as_ref().unwrap(), &Exit::Exited(0), "{ran:?}");
        assert_eq!(ran.text(), "app\nin", "{other}");
    }
}

#[tokio::test]
async fn jump_hosts_of_the_table_log_in_as_the_table_says() {
    let sshd = Sshd::start();
    let key = fs::read_to_string(sshd.path("host.pub")).unwrap();
    let port = sshd.address.port();
    fs::write(sshd.path("known"), format!("[127.0.0.1]:{port} {key}")).unwrap();
    let endpoint = format!("ssh://127.0.0.1:{port}");
    let table = format!(
        "[ssh]\nuser = \"root\"\nidentity = \"client\"\nknown_hosts = \"known\"\njump = \"{endpoint}\"\n"
    );
    let inventory = inventory(sshd.directory.path(), &[("web-1", &endpoint)], &table);
    let hosts = SshHosts::of(&inventory, &SshOptions::new()).unwrap();
    hosts.connect(context(), target(&inventory, "web-1")).await.unwrap();
    // One to go through, which then connects to itself.
    assert_eq!(sshd.connections(), 2);
}

#[tokio::test]
async fn a_jump_host_of_an_ssh_config_is_reached_as_the_config_says_of_it() {
    let sshd = Sshd::start();
    let key = fs::read_to_string(sshd.path("host.pub")).unwrap();
    let port = sshd.address.port();
    fs::write(sshd.path("known"), format!("[127.0.0.1]:{port} {key}")).unwrap();
    let config = |more: &str| {
        let all = format!("HostName 127.0.0.1\nPort {port}\nUser root\n");
        fs::write(sshd.path("ssh_config"), format!("{more}\nHost *\n{all}")).unwrap();
    };
    let table = "[ssh]\nidentity = \"client\"\nknown_hosts = \"known\"\nconfig = \"ssh_config\"\n";
    let inventory = inventory(sshd.directory.path(), &[("web-1", "ssh://web-1")], table);
    let options = SshOptions::new().with_local_user(somebody());
    config("Host web-*\nProxyJump near\nHost near\nProxyJump far");
    let hosts = SshHosts::of(&inventory, &options).unwrap();
    hosts.connect(context(), target(&inventory, "web-1")).await.unwrap();
    assert_eq!(sshd.connections(), 3);
    config("Host *\nProxyJump near");
    let found = faults(SshHosts::of(&inventory, &options));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("web-1: the ssh config goes through near again"), "{found:#?}");
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_the_host_that_it_is_about() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("damaged"), "web-1\nx y z\n").unwrap();
    let table = "[ssh]\nidentity = [\"id-1\", \"id-2\"]\npassphrase_file = \"phrase\"\n\
                 password_file = \"password\"\nknown_hosts = [\"none\", \"damaged\"]\n\
                 jump = \"ssh://gate\"\nsudo = \"app\"\nsudo_password_file = \"sudo\"\n";
    let hosts = [("host-1", "ssh://me@10.0.0.1"), ("host-2", "ssh://10.0.0.2:2022")];
    let found =
        faults(SshHosts::of(&inventory(directory.path(), &hosts, table), &SshOptions::new()));
    let file = |name: &str| directory.path().join(name).display().to_string();
    let expected = [
        format!("a secret is missing: {} could not be read: ", file("phrase")),
        format!("a secret is missing: {} could not be read: ", file("password")),
        format!("a secret is missing: {} could not be read: ", file("sudo")),
        format!("the key {} cannot be read: ", file("id-1")),
        format!("the key {} cannot be read: ", file("id-2")),
        format!("the known hosts of {} could not be read: ", file("none")),
        format!("the known hosts are damaged: {}:1: ", file("damaged")),
        "nobody says who logs in at gate: ".to_owned(),
        "host-2: nobody says who logs in at 10.0.0.2: ssh://user@10.0.0.2, ".to_owned(),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(&expected) {
        assert!(found.starts_with(expected), "{found} is not {expected}");
    }
}

#[test]
fn what_an_ssh_config_lacks_is_told_with_all_hosts_that_lack_it() {
    let directory = TempDir::new().unwrap();
    let config = "Host a b\n IdentityFile /nowhere/id\nHost c\n ProxyCommand nc %h\nHost d\n Port 1\n\
                  Host a b d\n User me\n UserKnownHostsFile /nowhere/known\n";
    fs::write(directory.path().join("config"), config).unwrap();
    let hosts: Vec<_> = ["a", "b", "c", "d"].map(|name| (name, format!("ssh://{name}"))).into();
    let hosts: Vec<_> = hosts.iter().map(|(name, endpoint)| (*name, &endpoint[..])).collect();
    let inventory = inventory(directory.path(), &hosts, "[ssh]\nconfig = \"config\"\n");
    let options = SshOptions::new().with_local_user(somebody());
    let found = faults(SshHosts::of(&inventory, &options));
    let expected = [
        "a, b: the key /nowhere/id cannot be read: ",
        "c: the ssh config cannot be followed for c: ",
        "d: no way to log in is set: ",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(&expected) {
        assert!(found.starts_with(expected), "{found} is not {expected}");
    }
    // What the program says counts in the place of all, and an agent where no key is named.
    let without = SshHosts::of(&inventory, &SshOptions::new()).unwrap_err();
    assert!(
        matches!(without.faults[..], [ref fault] if matches!(fault.kind, SshFaultKind::NoLocalUser))
    );
    fs::write(directory.path().join("id"), "").unwrap();
    let found =
        faults(SshHosts::of(&inventory, &options.with_identities([directory.path().join("id")])));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("c: the ssh config cannot be followed"), "{found:#?}");
}

#[test]
fn nothing_is_read_without_hosts_over_ssh() {
    let directory = TempDir::new().unwrap();
    let table = "[ssh]\nidentity = \"none\"\nknown_hosts = \"none\"\n";
    let inventory = inventory(directory.path(), &[("web-1", "local:/srv")], table);
    let hosts = SshHosts::of(&inventory, &SshOptions::new()).unwrap();
    assert_eq!(hosts.known_keys(&name("web-1")), None);
}

#[test]
fn of_several_known_hosts_files_all_are_read_or_all_faults_told() {
    let directory = TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    let (one, two) = (file("one", &format!("a {key}\n")), file("two", &format!("b {key}\n")));
    let known = KnownHosts::load_all([&one, &two]).unwrap();
    assert_eq!(known.algorithms("a", 22).len() + known.algorithms("b", 22).len(), 2);
    let bad = file("bad", "a\n");
    let errors = KnownHosts::load_all([&bad, &one, &directory.path().join("none")]).unwrap_err();
    assert_eq!(errors.len(), 2, "{errors:?}");
}
