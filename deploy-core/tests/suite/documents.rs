//! Requests and inventories as people write them: good ones, and ones with every kind of mistake.

use deploy_core::model::{DeploymentRequest, ReleaseSpec, UserName};
use deploy_core::{Format, Inventory, JsonParser, ParseError, Parser};
use proptest::prelude::*;

const WHOLE: &str = r#"{
    "business": "payments",
    "project": "checkout-api",
    "package": {
        "url": "http://packages.example/checkout-api-1.4.2.tar.gz",
        "md5": "5eb63bbbe01eeed093cb22bb8f5acdc3",
        "sha256": "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
    },
    "work_order": "WO-2026-1187",
    "requirement": { "id": "REQ-341", "name": "One-page checkout" },
    "not_before": "2026-11-23T02:00:00+08:00",
    "monitor": { "url": "http://{host.address}:8080/healthz" },
    "rollout": { "batches": ["1", "50%", "100%"] },
    "release": {
        "keep": 5,
        "shared": ["log"],
        "hooks": { "before_switch": ["./migrate"], "after_switch": [{ "run": "./restart", "timeout": "90s" }] }
    }
}"#;

fn faults(document: &str) -> Vec<String> {
    match JsonParser::new().parse(document.as_bytes()) {
        Err(ParseError::Invalid(faults)) => {
            faults.as_slice().iter().map(ToString::to_string).collect()
        }
        other => panic!("faults were expected, not {other:?}"),
    }
}

#[test]
fn a_whole_request_is_read() {
    let request = JsonParser::new().parse(WHOLE.as_bytes()).unwrap();
    assert_eq!(request.project.as_str(), "checkout-api");
    assert_eq!(request.not_before.unwrap().to_string(), "2026-11-22T18:00:00Z");
    assert_eq!(request.release.hooks.after_switch[0].timeout.as_secs(), 90);
    assert_eq!(request.requirement.unwrap().name.unwrap().as_str(), "One-page checkout");
}

#[test]
fn a_hook_may_name_a_user_of_the_host() {
    let with = |user: &str| WHOLE.replace("\"90s\"", &format!("\"90s\", \"user\": \"{user}\""));
    let longest = "a".repeat(32);
    for user in ["app", "_www-data9", longest.as_str()] {
        let request = JsonParser::new().parse(with(user).as_bytes()).unwrap();
        let found = request.release.hooks.after_switch[0].user.as_ref();
        assert_eq!(found.map(UserName::as_str), Some(user));
    }
    let too_long = "a".repeat(33);
    for user in ["", "-rf", "9a", "App", "a b", "a;b", "a.b", "#0", "%wheel", "\u{e4}", &too_long] {
        let faults = faults(&with(user));
        assert_eq!(faults.len(), 1, "{faults:#?}");
        assert!(faults[0].starts_with("release.hooks.after_switch[0].user: "), "{}", faults[0]);
    }
}

#[test]
fn five_mistakes_are_five_faults_at_once() {
    let document = WHOLE
        .replace("\"project\": \"checkout-api\"", "\"projct\": \"checkout-api\"")
        .replace("5eb63bbbe01eeed093cb22bb8f5acdc3", "5eb63")
        .replace("\"50%\"", "\"0%\"")
        .replace("\"keep\": 5", "\"keep\": 0")
        .replace("+08:00", "");
    let faults = faults(&document);
    let paths: Vec<_> = faults.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
    let expected =
        ["project", "package.md5", "not_before", "rollout.batches[1]", "release.keep", "projct"];
    assert_eq!(paths, expected, "{faults:#?}");
    assert!(faults[1].contains("found \"5eb63\", allowed is an MD5"), "{}", faults[1]);
    assert!(faults[5].contains("did you mean \"project\"?"), "{}", faults[5]);
}

#[test]
fn deadlines_that_contradict_each_other_are_refused_together() {
    let document = WHOLE
        .replace("/healthz\"", "/healthz\", \"deadline\": \"10m\"")
        .replace("\"keep\": 5", "\"timeout\": \"5m\"")
        .replace("\"100%\"]", "\"100%\"], \"deadline\": \"10m\"");
    let expected = [
        "release.timeout: found 5m, allowed is more than the monitor's deadline of 10m",
        "rollout.deadline: found 10m, allowed is more than the monitor's deadline of 10m",
    ];
    assert_eq!(faults(&document), expected);
}

#[test]
fn what_undoes_a_deployment_does_not_go_back_itself() {
    let document = WHOLE.replace(
        "\"100%\"] }",
        "\"100%\"], \"failures\": {\"then\": \"roll_back\"} }, \"rollback\": {\"of\": \"d1\", \"to\": \"newest\"}",
    );
    let faults = faults(&document);
    assert!(faults[0].starts_with("rollback.to: found \"newest\""), "{faults:#?}");
    let faults = self::faults(&document.replace("\"newest\"", "\"previous\""));
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(faults[0].starts_with("rollout.failures.then: "), "{faults:#?}");
}

#[test]
fn how_many_packages_stay_is_said_only_when_it_is_not_the_usual_number() {
    let request = |release: &str| {
        let document = WHOLE.replace("\"keep\": 5,", &format!("\"keep\": 5, {release}"));
        JsonParser::new().parse(document.as_bytes()).unwrap()
    };
    let usual = request("").release;
    assert_eq!(usual.keep_packages, 2);
    assert!(!serde_json::to_string(&usual).unwrap().contains("keep_packages"));
    let none = request("\"keep_packages\": 0,").release;
    assert_eq!(none.keep_packages, 0);
    let read: ReleaseSpec = serde_json::from_str(&serde_json::to_string(&none).unwrap()).unwrap();
    assert_eq!(read, none);
    let found = faults(&WHOLE.replace("\"keep\": 5", "\"keep_packages\": 1001"));
    assert!(found[0].starts_with("release.keep_packages: found the number 1001"), "{found:?}");
}

#[test]
fn a_document_that_is_no_table_says_so() {
    assert_eq!(faults("[]"), ["found a list of 0, allowed is a table"]);
    assert_eq!(faults("null"), ["found nothing, allowed is a table"]);
}

#[test]
fn a_document_that_is_no_json_says_where() {
    let error = JsonParser::new().parse(b"{\n  \"business\": }").unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
}

#[test]
fn sec_a10_deep_large_and_doubled_documents_are_refused() {
    let deep = "[".repeat(10_000);
    let error = JsonParser::new().parse(deep.as_bytes()).unwrap_err();
    assert!(matches!(error, ParseError::Syntax { .. }), "{error}");
    let large = vec![b' '; deploy_core::MAX_DOCUMENT + 1];
    assert!(matches!(JsonParser::new().parse(&large), Err(ParseError::TooLarge { .. })));
    let doubled = WHOLE.replacen('{', "{\"business\": \"payroll\",", 1);
    let error = JsonParser::new().parse(doubled.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("stands there twice"), "{error}");
    for bad in ["NaN", "\"\\ud800\"", "{\"a\": 1e999}"] {
        assert!(JsonParser::new().parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn a_key_of_the_writers_own_is_let_through() {
    let document = WHOLE.replacen('{', "{\"x-ticket\": {\"any\": [1, 2]},", 1);
    assert!(JsonParser::new().parse(document.as_bytes()).is_ok());
}

#[test]
fn a_request_is_written_as_it_is_read() {
    let request = JsonParser::new().parse(WHOLE.as_bytes()).unwrap();
    let written = serde_json::to_string(&request).unwrap();
    assert_eq!(serde_json::from_str::<DeploymentRequest>(&written).unwrap(), request);
}

#[cfg(all(feature = "toml", feature = "yaml"))]
#[test]
fn toml_and_yaml_say_the_same_as_json() {
    let toml = r#"
        business = "payments"
        project = "checkout-api"
        work_order = "WO-2026-1187"
        not_before = 2026-11-23T02:00:00+08:00
        monitor = "http://{host.address}:8080/healthz"
        [package]
        url = "http://packages.example/checkout-api-1.4.2.tar.gz"
        md5 = "5eb63bbbe01eeed093cb22bb8f5acdc3"
        sha256 = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
        [requirement]
        id = "REQ-341"
        name = "One-page checkout"
        [rollout]
        batches = [1, "50%", "100%"]
        [release]
        shared = ["log"]
        [release.hooks]
        before_switch = ["./migrate"]
        after_switch = [{ run = "./restart", timeout = "1m30s" }]
    "#;
    let yaml = r#"
business: payments
project: checkout-api
work_order: WO-2026-1187
not_before: "2026-11-23T02:00:00+08:00"
monitor: { url: "http://{host.address}:8080/healthz" }
package:
  url: http://packages.example/checkout-api-1.4.2.tar.gz
  md5: 5eb63bbbe01eeed093cb22bb8f5acdc3
  sha256: b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9
requirement: { id: REQ-341, name: One-page checkout }
rollout: { batches: ["1", "50%", "100%"] }
release:
  shared: [log]
  hooks:
    before_switch: [./migrate]
    after_switch: [{ run: ./restart, timeout: 90s }]
"#;
    let json = JsonParser::new().parse(WHOLE.as_bytes()).unwrap();
    assert_eq!(deploy_core::TomlParser::new().parse(toml.as_bytes()).unwrap(), json);
    assert_eq!(deploy_core::YamlParser::new().parse(yaml.as_bytes()).unwrap(), json);
}

#[cfg(all(feature = "toml", feature = "yaml"))]
#[test]
fn broken_toml_and_yaml_say_where() {
    let error = deploy_core::TomlParser::new().parse(b"a = 1\nb = \n").unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
    let error = deploy_core::YamlParser::new().parse(b"a: 1\nb: [").unwrap_err();
    assert!(error.to_string().starts_with("not valid YAML: "), "{error}");
}

/// A bomb of nested aliases must neither hang nor fill the memory.
#[cfg(feature = "yaml")]
#[test]
fn a_yaml_bomb_is_refused() {
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let below = level - 1;
        let items = vec![format!("*a{below}"); 9].join(",");
        bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert!(deploy_core::YamlParser::new().parse(bomb.as_bytes()).is_err());
}

/// The inventory of the README.
#[cfg(feature = "toml")]
#[test]
fn the_inventory_of_the_readme_is_read() {
    let text = r#"
        [[agent]]
        name = "east"
        cloud = "private"
        endpoint = "http://127.0.0.1:7070"
        token_file = "east.token"

        [[host]]
        name = "web-1"
        address = "10.0.1.11"
        agent = "east"
        tags = ["web"]

        [[project]]
        business = "payments"
        name = "checkout-api"
        hosts = ["web-*", "tag:web"]
        root = "/srv/checkout-api"
    "#;
    let inventory = Inventory::parse(Format::Toml, text.as_bytes()).unwrap();
    assert_eq!(inventory.hosts().len(), 1);
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = JsonParser::new().parse(&bytes);
        #[cfg(feature = "toml")]
        let _ = deploy_core::TomlParser::new().parse(&bytes);
        #[cfg(feature = "yaml")]
        let _ = deploy_core::YamlParser::new().parse(&bytes);
        let _ = Inventory::parse(Format::Json, &bytes);
    }

    #[test]
    fn a_request_with_a_piece_cut_out_is_refused_or_whole(
        at in 0..WHOLE.len(),
        length in 1_usize..40,
    ) {
        let end = (at + length).min(WHOLE.len());
        let cut = format!("{}{}", &WHOLE[..at], &WHOLE[end..]);
        if let Ok(request) = JsonParser::new().parse(cut.as_bytes()) {
            let written = serde_json::to_string(&request).unwrap();
            prop_assert_eq!(serde_json::from_str::<DeploymentRequest>(&written).unwrap(), request);
        }
    }
}
