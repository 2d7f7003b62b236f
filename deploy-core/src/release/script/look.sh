# Looking at the host before anything is brought to it: its tools, what earlier programs left, what
# is current, and the free space.

# need_tools <tool…>
need_tools() {
    missing=
    for tool in "$@"; do
        command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
    done
    [ -z "$missing" ] || fail tool_missing "the host lacks$missing"
}

look_for_tools() {
    need_tools cat chmod cut date dd df head ln ls mkdir mv readlink rm sh sleep sort sync tail wc
    if [ -z "$group" ]; then
        # Not in a subshell, where some shells say that they have what they lack.
        set -m 2>/dev/null
        case $- in
            *m*) set +m ;;
            *) fail tool_missing "the host lacks setsid" ;;
        esac
    fi
    look_for_users
    [ "$mode" = stream ] || return 0
    case $format in
        tar) need_tools tar ;;
        tar.gz) need_tools tar gzip ;;
        tar.zst) need_tools tar zstd ;;
        tar.xz) need_tools tar xz ;;
        zip) need_tools unzip ;;
    esac
    find_digest_tool
}

# clear_leftovers: we hold the lock, so what bears another run's name belongs to nobody.
clear_leftovers() {
    set --
    for left in "$root"/releases/.incoming-* "$root"/releases/.trash-* "$deploy"/work.* \
        "$deploy"/claim.* "$deploy"/.new-* "$deploy"/marks/.new-*; do
        [ "$left" = "$work" ] || [ ! -e "$left" ] || set -- "$@" "$left"
    done
    for left in "$deploy"/lock.*; do
        found=${left##*/lock.}
        case $found in '' | *[!0-9]*) continue ;; esac
        [ "$found" -ge "$number" ] || set -- "$@" "$left"
    done
    [ $# -eq 0 ] || rm -rf "$@" 2>/dev/null
    for left in "$deploy"/marks/*; do
        left=${left##*/}
        plain "$left" || continue
        read_mark "$left"
        [ "$mark_state" != unfinished ] || [ "$left" = "$current" ] || discard "$left"
    done
}

# look_at_current: what current points to, in $current_link, and the release's id in $current.
look_at_current() {
    current=
    current_link=
    if [ -h "$root/current" ]; then
        current_link=$(readlink "$root/current")
        current=${current_link#releases/}
        plain "$current" || current=
    elif [ -e "$root/current" ]; then
        fail host_failed "$root/current is not a link"
    fi
}

# look_for_release: whether this deployment's release is here already, in $present, and what to go
# back to, in $previous and $previous_link.
look_for_release() {
    present=
    previous=$current
    previous_link=$current_link
    read_mark "$release"
    if [ "$current" = "$release" ]; then
        previous=$mark_previous
        previous_link=${previous:+releases/$previous}
    fi
    case $mark_state in complete | good | failed) ;; *) mark_state= ;; esac
    if [ -n "$mark_state" ] && [ "$mark_sha256" = "$sha256" ] && [ -d "$root/releases/$release" ]; then
        present=$mark_state
    elif [ "$current" = "$release" ]; then
        fail invalid "current points to $release already, which was made of another package"
    fi
    # A failed release is made anew, unless it is the one that is served.
    if [ "$present" = failed ] && [ "$current" != "$release" ]; then
        present=
    fi
    [ -n "$present" ] || discard "$release" || broken "releases/$release could not be removed"
}

# look_for_free: what is free on the root's file system, in KiB, in $free.
look_for_free() {
    free=$(df -Pk "$root" 2>/dev/null)
    set -f
    # shellcheck disable=SC2086 # The fourth word of the last line.
    set -- ${free##*"$newline"}
    set +f
    free=$4
    case $free in '' | *[!0-9]*) free=9007199254740991 ;; esac
}

# look_for_space: kept packages make room, and the one that is reused needs none.
look_for_space() {
    [ -z "$reusable" ] || needed_kib=$((needed_kib - size / 1024))
    look_for_free
    if [ "$free" -lt "$needed_kib" ]; then
        drop_packages
        look_for_free
    fi
    [ "$free" -ge "$needed_kib" ] ||
        fail host_full "the release needs $needed_kib KiB on the file system of $root, and $free KiB are free"
}
