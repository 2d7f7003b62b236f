//! Zones of the IANA database.

use std::sync::OnceLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::document::{Invalid, Node, nearest};

/// Where systems keep their zones, the ones that are kept up to date before our copy.
const DIRECTORIES: [&str; 2] = ["/usr/share/zoneinfo", "/etc/zoneinfo"];

/// Reads the name of a zone. The environment has no say in what it means.
pub(super) fn decode(node: &Node<'_>) -> Option<TimeZone> {
    let name = node.text()?;
    let found = databases().iter().find_map(|database| database.get(name).ok());
    found.map_or_else(|| node.invalid(unknown(name)), Some)
}

fn databases() -> &'static [TimeZoneDatabase] {
    static DATABASES: OnceLock<Vec<TimeZoneDatabase>> = OnceLock::new();
    DATABASES.get_or_init(|| {
        let system = DIRECTORIES.iter().filter_map(|path| TimeZoneDatabase::from_dir(path).ok());
        system.chain([TimeZoneDatabase::bundled()]).collect()
    })
}

fn unknown(name: &str) -> Invalid {
    let bundled = TimeZoneDatabase::bundled();
    let names: Vec<String> = bundled.available().map(|name| name.as_str().to_owned()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let city = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let near = nearest(name, &names).or_else(|| {
        let cities: Vec<String> = names.iter().map(|name| city(name)).collect();
        let cities: Vec<&str> = cities.iter().map(String::as_str).collect();
        let near = nearest(name, &cities)?;
        names.into_iter().find(|name| city(name) == near)
    });
    let mut allowed = "a zone of the IANA database, such as \"Asia/Shanghai\"".to_owned();
    if let Some(near) = near {
        allowed.push_str(&format!("; the nearest is {near:?}"));
    }
    Invalid::new(name, allowed)
}
