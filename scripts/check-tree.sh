#!/usr/bin/env bash
# Checks what the documents promise of the tree of crates and files.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0
fail() { printf 'not so: %s\n' "$*" >&2; failed=1; }

tree() { cargo tree --locked -e normal --prefix none "$@" | sort -u; }

# deploy-core knows no transport and no store.
foreign=$(tree -p deploy-core | grep -E '^(reqwest|hyper|axum|ssh2|redb|mockall) ' || true)
[ -z "$foreign" ] || fail "deploy-core depends on no adapter's crates, but: $foreign"

# Adapters do not depend on each other.
for adapter in deploy-http deploy-ssh deploy-queue; do
    others=$(tree -p "$adapter" | grep -E '^deploy-' | grep -vE "^($adapter|deploy-core) " || true)
    [ -z "$others" ] || fail "$adapter depends on deploy-core alone, but: $others"
done

# deploy-core stays small.
count=$(tree -p deploy-core | wc -l)
[ "$count" -le 90 ] || fail "deploy-core has at most 90 crates in its tree, but $count"
count=$(tree -p deploy-core -p deploy-queue -p deploy-http | wc -l)
[ "$count" -le 190 ] || fail "core, queue and http together have at most 190 crates, but $count"

# A queue in memory brings no store along, and neither of both builds C.
foreign=$(tree -p deploy-queue --no-default-features | grep -E '^(redb|crc32fast|rustix) ' || true)
[ -z "$foreign" ] || fail "deploy-queue needs these for its disk alone, but has them without: $foreign"
for features in --no-default-features --all-features; do
    foreign=$(tree -e normal,build -p deploy-queue "$features" | grep -E '^(cc|cmake|bindgen|[a-z0-9-]+-sys) ' |
        grep -vE '^linux-raw-sys ' || true)
    [ -z "$foreign" ] || fail "deploy-queue $features builds no C, but depends on: $foreign"
done

# The quick start needs no OpenSSL.
foreign=$(tree -p deploy-examples | grep -E '^(ssh2|openssl-sys|libssh2-sys) ' || true)
[ -z "$foreign" ] || fail "the examples need the feature ssh for these, but have them without: $foreign"

# One thing has one home.
one_home() {
    local pattern=$1 home=$2 elsewhere
    elsewhere=$(git grep -lE "$pattern" -- '*.rs' | grep -vE "$home" || true)
    [ -z "$elsewhere" ] || fail "$pattern is named in $home alone, but also in: $elsewhere"
}
one_home '\b(use md5|md5::)' '^deploy-core/src/model/digest\.rs$'
one_home '\bredb::' '^deploy-queue/'
one_home '\bssh2::' '^deploy-ssh/src/wire(/[a-z]+)?\.rs$'

# The doctests run.
ignored=$(git grep -nE '^\s*//[/!] ```(rust,)?ignore' -- '*.rs' || true)
[ -z "$ignored" ] || fail "no doctest is ignored, but: $ignored"

# Nothing on a floor that was left for a reason: see deny.toml.
floor() {
    local crate=$1 least=$2 found
    found=$(grep -A1 "^name = \"$crate\"$" Cargo.lock | sed -n 's/^version = "\(.*\)"$/\1/p' || true)
    for version in $found; do
        [ "$(printf '%s\n%s\n' "$least" "$version" | sort -V | head -n1)" = "$least" ] ||
            fail "$crate is at least $least, but $version"
    done
}
floor tar 0.4.46
floor zip 2.3.0
floor bytes 1.11.1
floor rustls-webpki 0.103.13
floor ring 0.17.12
floor redb 4.6.0
floor h2 0.4.16
floor libssh2-sys 0.3.4

# The minimum Rust version stands in one place, and the README says the same.
msrv=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
grep -q "Rust $msrv" README.md || fail "README.md names Rust $msrv"

exit $failed
