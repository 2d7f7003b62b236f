//! Releases on real directories, by real shells: every promise, and everything that goes wrong.
//!
//! Each test runs by dash, bash and busybox (with busybox's own tools), both where the package is
//! unpacked in process and where the host's tools do it.

/// Writes one test per shell and way of unpacking: an async function of a [`fixture::Host`].
macro_rules! on_every_host {
    ($($(#[$meta:meta])* $name:ident($host:ident) $body:block)+) => {
        $(
            mod $name {
                #[allow(unused_imports, reason = "not every test needs all")]
                use super::*;

                $(#[$meta])*
                async fn check($host: crate::release::fixture::Host) $body

                #[tokio::test]
                async fn by_dash_in_process() { check(crate::release::fixture::Host::new("dash", true)).await; }
                #[tokio::test]
                async fn by_dash_with_its_tools() { check(crate::release::fixture::Host::new("dash", false)).await; }
                #[tokio::test]
                async fn by_bash_in_process() { check(crate::release::fixture::Host::new("bash", true)).await; }
                #[tokio::test]
                async fn by_bash_with_its_tools() { check(crate::release::fixture::Host::new("bash", false)).await; }
                #[tokio::test]
                async fn by_busybox_in_process() { check(crate::release::fixture::Host::new("busybox", true)).await; }
                #[tokio::test]
                async fn by_busybox_with_its_tools() { check(crate::release::fixture::Host::new("busybox", false)).await; }
            }
        )+
    };
}

mod again;
mod asking;
mod confirming;
mod failing;
mod fixture;
mod hooks;
mod inspecting;
mod installing;
mod kept;
mod killed;
mod lasting;
mod local;
mod locking;
mod package;
mod packages;
mod probing;
mod pruning;
mod stopping;
mod tools;
mod undoing;
mod undoing_again;
mod users;
mod watched;
