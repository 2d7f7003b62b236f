# The beginning of every program that changes something, up to the lock.

# Standard input is the node's, and nobody else's.
exec 3<&0 </dev/null
umask 022
unset CDPATH TMOUT TAR_OPTIONS GZIP UNZIP UNZIPOPT XZ_OPT XZ_DEFAULTS ZSTD_CLEVEL POSIXLY_CORRECT
deploy=$root/.deploy
work=$deploy/work.$run
incoming=
DEPLOY_ROLLBACK=
previous=
target=
served=
switched=
outcome=failed

# make_directories: only we may read in .deploy.
make_directories() {
    for directory in "$root/releases" "$root/shared" "$deploy/marks" "$deploy/logs" "$deploy/packages"; do
        [ -d "$directory" ] && continue
        must mkdir -p "$root/releases" "$root/shared" "$deploy"
        must chmod 700 "$deploy"
        must mkdir -p "$deploy/marks" "$deploy/logs" "$deploy/packages"
        return
    done
}

# enter: the lock is ours, what is current is known, and nothing is left of those before us.
enter() {
    make_directories
    take_lock
    set -- "$work/switch"
    [ -z "$incoming" ] || set -- "$@" "$incoming"
    [ -z "$has_before_switch$has_after_switch" ] || set -- "$@" "$deploy/logs/$release"
    mkdir -p "$@" 2>/dev/null || must mkdir -p "$@"
    look_at_current
    clear_leftovers
}

# clear_up: removes what bears our run's name and, once our lock is on the disk, those before it.
clear_up() {
    set --
    for left in "$work" "$deploy/claim.$run" "$incoming"; do
        [ ! -e "$left" ] || set -- "$@" "$left"
    done
    for left in "$deploy"/lock.*; do
        found=${left##*/lock.}
        is_number "$found" && [ -n "$lasting" ] || continue
        [ "$found" -ge "$number" ] || set -- "$@" "$left"
    done
    [ $# -eq 0 ] || rm -rf "$@" 2>/dev/null
}

# leave <status>: the last words.
leave() {
    stop_listening
    stop_watching
    if holds_lock; then
        [ -n "$served" ] || write_history
        serves_still || look_at_current
        say serves "$current"
        unlock
    elif [ -d "$root" ] && [ -h "$root/current" ]; then
        current=$(readlink "$root/current")
        current=${current#releases/}
        if plain "$current"; then say serves "$current"; fi
    fi
    clear_up
    say end "$1" "$outcome"
    exit "$1"
}
