//! A release bot that was built without the feature `ssh`.

use crate::world::{World, package, said};

#[test]
fn a_host_over_ssh_is_refused_with_the_feature_that_it_needs() {
    let world = World::new(1);
    let request = world.request("d1", &package("1"), "");
    let text = std::fs::read_to_string(world.path("direct.toml")).unwrap();
    let start = text.find("local:").unwrap();
    let end = start + text[start..].find('"').unwrap();
    world.write("ssh.toml", &text.replace(&text[start..end], "ssh://deploy@10.0.0.1:22"));
    let output = world.deploy(&request, "ssh.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("release_bot --features ssh"), "{}", said(&output));
    assert!(said(&output).contains("h1"), "{}", said(&output));
}
