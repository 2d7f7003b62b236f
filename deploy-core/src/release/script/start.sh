# The beginning of every program that changes something, up to the lock.

# Standard input is the node's, and nobody else's.
exec 3<&0 </dev/null
umask 022
unset CDPATH TAR_OPTIONS GZIP ZIPOPT UNZIP XZ_OPT XZ_DEFAULTS ZSTD_CLEVEL POSIXLY_CORRECT
deploy=$root/.deploy
work=$deploy/work.$run
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
    check_fence
    take_lock
    check_fence
    must mkdir "$work" "$work/switch"
    [ "$seen" = "$fence" ] || replace "$deploy/fence" "$fence" || broken "the number could not be written"
    look_at_current
    clear_leftovers
}

# leave <status>: the last words.
leave() {
    stop_listening
    if holds_lock; then
        [ -n "$served" ] || write_history
        look_at_current
        say serves "$current"
        unlock
    elif [ -d "$root" ] && [ -h "$root/current" ]; then
        current=$(readlink "$root/current")
        current=${current#releases/}
        if plain "$current"; then say serves "$current"; fi
    fi
    rm -rf "$work" "$deploy/claim.$run"-*
    say end "$1" "$outcome"
    exit "$1"
}
