# Looking at what the host has, without changing anything: no directory is made, no lock taken.

log=
work=
deploy=$root/.deploy

show_tail() {
    true
}

put_back() {
    true
}

leave() {
    say end "$1" failed
    exit "$1"
}

# say_current: what current points to, when that is a release of ours.
say_current() {
    [ -h "$root/current" ] || return 0
    current=$(readlink "$root/current")
    case $current in releases/*) current=${current#releases/} ;; *) return 0 ;; esac
    if plain "$current"; then say serves "$current"; fi
}

say_releases() {
    for entry in "$deploy"/marks/*; do
        entry=${entry##*/}
        plain "$entry" && [ -d "$root/releases/$entry" ] || continue
        read_mark "$entry"
        [ -z "$mark_state" ] || say release "$entry" "$mark_state" "$mark_order" "${mark_sha256:--}" "${mark_previous:--}"
    done
}

say_lock() {
    highest_lock
    [ "$highest" -gt 0 ] && read_lock "$highest" || return 0
    since=$(date -u +%s)
    place_of_processes
    lock_is_open || say locked "$(lock_in_words)"
}

step=lock
need_tools date df readlink
if [ -d "$root" ]; then
    say_current
    say_releases
    say_lock
    look_for_free
    [ "$free" = "$unknown_free" ] || say free "$free"
fi
say end 0 checked
