//! The packages: built here, and served over HTTP on loopback.

use std::collections::BTreeMap;
use std::path::Path;

use axum::Router;
use axum::routing::get;
use deploy_core::CancelToken;
use deploy_core::model::Md5Digest;
use deploy_http::{ServeConfig, serve};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::net::TcpListener;

use crate::AnyError;
use crate::fleet::Fleet;

/// A package that can be downloaded.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) url: String,
    pub(crate) md5: Md5Digest,
}

/// The package server, and what it serves.
#[derive(Debug)]
pub(crate) struct Packages {
    packages: BTreeMap<u32, Package>,
}

impl Packages {
    /// Builds three versions and serves them.
    pub(crate) async fn start(fleet: &Fleet) -> Result<Self, AnyError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut router = Router::new();
        let mut packages = BTreeMap::new();
        for version in 1..=3 {
            let bytes = build(fleet, version)?;
            let path = format!("/checkout-api-{version}.tar.gz");
            let url = format!("http://{address}{path}");
            packages.insert(version, Package { url, md5: Md5Digest::of(&bytes) });
            router = router.route(&path, get(move || async { bytes }));
        }
        tokio::spawn(serve(listener, router, ServeConfig::default(), CancelToken::new()));
        Ok(Self { packages })
    }

    /// The package of a version from 1 to 3.
    pub(crate) fn of(&self, version: u32) -> &Package {
        &self.packages[&version]
    }
}

/// A tar.gz with the script that starts the service and some files beside it.
fn build(fleet: &Fleet, version: u32) -> Result<Vec<u8>, AnyError> {
    let start = format!(
        r#"#!/bin/sh
# Stops the service of the release before, if one runs, and starts this one.
set -eu
if [ -f run/pid ]; then
    kill "$(cat run/pid)" 2>/dev/null || true
fi
nohup '{program}' serve-app "$DEPLOY_HOST_ADDRESS:{port}" {version} {lifeline} >service.log 2>&1 &
echo $! >run/pid
echo "started version {version} for $DEPLOY_WORK_ORDER"
"#,
        program = std::env::current_exe()?.display(),
        port = fleet.port(),
        lifeline = fleet.lifeline(),
    );
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    add(&mut archive, "start", 0o755, start.as_bytes())?;
    add(&mut archive, "VERSION", 0o644, format!("{version}\n").as_bytes())?;
    for page in 0..50 {
        let text = format!("page {page} of version {version}\n").repeat(40);
        add(&mut archive, &format!("public/page-{page}.html"), 0o644, text.as_bytes())?;
    }
    Ok(archive.into_inner()?.finish()?)
}

fn add(
    archive: &mut tar::Builder<GzEncoder<Vec<u8>>>,
    path: &str,
    mode: u32,
    bytes: &[u8],
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    archive.append_data(&mut header, Path::new(path), bytes)
}
