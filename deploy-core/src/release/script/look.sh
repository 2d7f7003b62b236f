# Looking at the host before anything is brought to it: its tools, what earlier programs left, what
# is current, and the free space.

# need_tools <tool…>
need_tools() {
    missing=
    for tool in "$@"; do
        command -v "$tool" || missing="$missing $tool"
    done >/dev/null 2>&1
    [ -z "$missing" ] || fail tool_missing "the host lacks$missing"
}

look_for_tools() {
    need_tools cat chmod cut date dd df head ln ls mkdir mv readlink rm sh sleep sync tail wc
    if [ -z "$group" ]; then
        # Not in a subshell, where some shells say that they have what they lack.
        set -m 2>/dev/null
        case $- in
            *m*) set +m ;;
            *) fail tool_missing "the host lacks setsid" ;;
        esac
    fi
    look_for_users
    [ -z "$ask_scheme" ] || find_asker "$ask_scheme"
}

# clear_leftovers: we hold the lock, so what bears another run's name belongs to nobody. The place of our
# release in their order is in $order: after all that have a mark, also when somebody removed the locks.
# Those that have one are in $marked, each as <order>:<id>:<SHA-256>:<state>.
clear_leftovers() {
    set --
    for left in "$root"/releases/.incoming-* "$root"/releases/.trash-* "$deploy"/work.* \
        "$deploy"/claim.* "$deploy"/.new-*; do
        case $left in *".$run" | *"-$run") continue ;; esac
        [ ! -e "$left" ] || set -- "$@" "$left"
    done
    [ $# -eq 0 ] || rm -rf "$@" 2>/dev/null
    set --
    order=$number
    marked=
    for left in "$deploy"/marks/*; do
        left=${left##*/}
        plain "$left" || continue
        read_mark "$left"
        [ "$mark_order" -lt "$order" ] || order=$((mark_order + 1))
        if [ "$mark_state" = unfinished ] && [ "$left" != "$current" ]; then
            set -- "$@" "$left"
        else
            marked="$marked $mark_order:$left:$mark_sha256:$mark_state"
        fi
    done
    discard "$@"
    for left in $stayed; do
        marked="$marked 0:$left::unfinished"
    done
}

# look_at_current: what current points to, in $current_link, and the release's id in $current. A release of
# ours is found without a process.
look_at_current() {
    current=
    current_link=
    if [ -h "$root/current" ]; then
        for current in "$deploy"/marks/*; do
            current=${current##*/}
            ! plain "$current" || ! serves_still || break
            current=
        done
        if [ -n "$current" ]; then
            current_link=releases/$current
        else
            ask readlink "$root/current"
            current_link=$answer
            current=${current_link#releases/}
            plain "$current" || current=
        fi
    elif [ -e "$root/current" ]; then
        fail host_failed "$root/current is not a link"
    fi
}

# serves_still: whether current still leads to $current. It costs no process.
serves_still() {
    [ -n "$current" ] && [ "$root/current" -ef "$root/releases/$current" ] 2>/dev/null
}

unknown_free=9007199254740991

# look_for_free: what is free on the root's file system, in KiB, in $free.
look_for_free() {
    free=$(df -Pk "$root" 2>/dev/null)
    set -f
    # shellcheck disable=SC2086 # The words of the last line.
    set -- ${free##*"$newline"}
    set +f
    # It stands before the share that is used; before that there may be a name with blanks.
    until [ $# -lt 2 ] || [ "$2" != "${2%\%}" ]; do shift; done
    free=${1-}
    is_number "$free" || free=$unknown_free
}
