#!/usr/bin/env bash
# Runs every test of the workspace; installs what they need from Debian's packages when it is missing.
#
#   ./scripts/test.sh          everything: format, lints, docs, tests, doctests, checks of the tree
#   ./scripts/test.sh quick    the tests alone
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-all}

say() { printf '\n== %s\n' "$*"; }

# What the tests run: shells to check the release programs with, archivers to make packages with.
need=()
command -v dash >/dev/null || need+=(dash)
command -v busybox >/dev/null || need+=(busybox)
command -v cc >/dev/null || need+=(gcc libc6-dev)
command -v zstd >/dev/null || need+=(zstd)
command -v xz >/dev/null || need+=(xz-utils)
command -v unzip >/dev/null || need+=(unzip)
command -v python3 >/dev/null || need+=(python3-minimal)
command -v mount >/dev/null || need+=(mount)
command -v mkfs.ext4 >/dev/null || [ -x /usr/sbin/mkfs.ext4 ] || need+=(e2fsprogs)
command -v setsid >/dev/null || need+=(util-linux)
[ -x /usr/sbin/sshd ] || need+=(openssh-server)
command -v ssh >/dev/null || need+=(openssh-client)
[ -e /usr/lib/python3/dist-packages/paramiko ] || need+=(python3-paramiko)
command -v fish >/dev/null || need+=(fish)
command -v tcsh >/dev/null || need+=(tcsh)
command -v sudo >/dev/null || need+=(sudo)
command -v openssl >/dev/null || need+=(openssl)
command -v strace >/dev/null || need+=(strace)
command -v pkg-config >/dev/null || need+=(pkg-config)
[ -e /usr/include/openssl/ssl.h ] || need+=(libssl-dev)
if [ ${#need[@]} -gt 0 ]; then
    say "installing ${need[*]}"
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update -q
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${need[@]}"
fi

core="deploy-core/release,deploy-core/toml,deploy-core/yaml,deploy-core/mock,deploy-core/zones"
features="$core,deploy-examples/ssh"

if [ "$mode" = all ]; then
    say "format"
    cargo fmt --all --check
    say "lints"
    cargo clippy --workspace --all-targets --features "$features" --locked -- -D warnings
    say "each crate by itself, with its default features"
    for crate in deploy-core deploy-queue deploy-http deploy-ssh deploy-testkit; do
        cargo clippy -q -p "$crate" --lib --locked -- -D warnings
    done
    # A queue in memory alone.
    cargo clippy -q -p deploy-queue --lib --no-default-features --locked -- -D warnings
    for side in client server; do
        cargo clippy -q -p deploy-http --lib --no-default-features --features "$side" --locked -- -D warnings
    done
    cargo clippy -q -p deploy-examples --all-targets --locked -- -D warnings
    say "docs"
    RUSTDOCFLAGS="-D warnings" cargo doc -q --workspace --no-deps --features "$features" --locked
    say "the tree"
    ./scripts/check-tree.sh
fi

say "doctests"
cargo test -q --doc --workspace --features "$features" --locked

say "tests"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --features "$features" --locked
else
    cargo test --workspace --features "$features" --locked --lib --bins --tests --examples
fi

say "the release bot without SSH"
cargo test -q -p deploy-examples --features "$core" --locked -- without_ssh::
