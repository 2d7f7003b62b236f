# Hooks: the author's own commands. Each runs in its own process group with a log file as its output,
# so that a daemon it leaves behind holds nothing of ours; its watcher passes the log on while it grows.

log=
log_prefix=
forwarded=0
watcher=
watched=0

# hooks <point> <directory> <release> <the one before>: the hooks of a point; the first that fails ends
# it. A failure is in $hook_code and $hook_message.
hooks() {
    point=$1
    hook_directory=$2
    DEPLOY_HOOK=$1 DEPLOY_RELEASE_PATH=$2 DEPLOY_RELEASE=$3 DEPLOY_PREVIOUS_RELEASE=$4
    DEPLOY_PREVIOUS_PATH=${4:+$root/releases/$4}
    export DEPLOY_HOOK DEPLOY_RELEASE_PATH DEPLOY_RELEASE DEPLOY_PREVIOUS_RELEASE DEPLOY_PREVIOUS_PATH
    if "${point}_hooks"; then
        log=
    else
        return 1
    fi
}

# hook <number> <seconds> <command> [user]: called by the lists of hooks.
hook() {
    [ -z "$hurry" ] || { hook_code=cancelled hook_message="hook $1 was left out"; return 1; }
    name=$step-$point-$1
    log=$deploy/logs/$release/$log_prefix$name.log
    late=$work/late-$name
    [ -d "${log%/*}" ] || mkdir -p "${log%/*}"
    size_of "$log"
    followed=$log
    offset=$bytes
    hook_user=${4-}
    [ -z "$hook_user" ] || way_to "$hook_user"
    # The command may start a daemon: it gets the log, and no other file of ours.
    if [ -z "$way" ]; then
        start "$hook_directory" sh -c "$3" >>"$log" 2>&1
    else
        hand_over "$3"
        start_as_user >>"$log" 2>&1
    fi
    watch_hook "$child" "$2"
    await_child
    way='' input=/dev/null
    take_over
    if [ -e "$late" ]; then
        hook_code=hook_timed_out hook_message="hook $1 ran for longer than its $2 s"
    elif must_end; then
        hook_code=cancelled hook_message="hook $1 was stopped"
    elif [ "$status" -ne 0 ]; then
        hook_code=hook_failed hook_message="hook $1 ended with status $status"
    else
        return 0
    fi
    return 1
}

# watch_hook <hook> <seconds>: by the watcher of the hook before, where there is one.
watch_hook() {
    watched=$((watched + 1))
    { echo "$offset $forwarded" >"$work/passed-$name"; } 2>/dev/null
    if [ -n "$watcher" ] && tell_watcher "$@" 2>/dev/null && kill -CONT "$watcher" 2>/dev/null; then
        return
    fi
    # There is none, it was killed, or the disk is full.
    stop_watching
    # What proves our words is in no list of processes.
    set -- sh -c "$common_program$watch_program" watch $$ "$1" "$2" "$way" "$hook_user" "$input" \
        "$work" "$step" "$followed" "$offset" "$forwarded" "$name" "$watched"
    if [ -n "$group" ]; then
        DEPLOY_NONCE=$nonce "$group" "$@" </dev/null 2>/dev/null 3<&- &
    else
        set -m
        DEPLOY_NONCE=$nonce "$@" </dev/null 2>/dev/null 3<&- &
        set +m
    fi
    watcher=$!
}

# tell_watcher <hook> <seconds>: in a file, which is whole when its last line is.
tell_watcher() {
    printf '%s\n' "$1 $2 $offset $forwarded $step $name" "$followed" "$input" "whole ${way:+$way $hook_user}" \
        >"$work/watch-$watched"
}

# stop_watching: it goes when it has finished its frame; one that ends a hook that is late goes by itself, when
# nothing is left of it.
stop_watching() {
    [ -n "$watcher" ] || return 0
    # A signal that comes right after the start is lost in some shells, so a file says the same.
    [ -e "$late" ] || { true >"$work/go-$watcher"; kill -TERM "$watcher"; } 2>/dev/null
    # A signal may end a wait before its time, and two must not write at once.
    while kill -0 "$watcher" 2>/dev/null; do wait "$watcher"; done 2>/dev/null
    watcher=
}

# how_far: what was passed on of the hook's log, unless the watcher is writing.
how_far() {
    { read -r before so_far <"$work/passed-$name"; } 2>/dev/null && is_number "$so_far" || return 1
    offset=$before forwarded=$so_far
}

# take_over: the hook has ended, and what its watcher has not passed on is passed on here.
take_over() {
    if [ -e "$late" ] || ! { true >"$work/ended-$name"; } 2>/dev/null || ! how_far; then
        stop_watching
        if ! how_far && [ -e "$work/passed-$name" ]; then
            # A full disk: nothing is passed on twice.
            size_of "$log"
            offset=$bytes
        fi
    fi
    while pass_on; do :; done
    bound_log
}

# show_tail: the end of the log of the hook that failed.
show_tail() {
    [ -n "$log" ] || return 0
    cat "$log.cut" "$log" 2>/dev/null | tail -c 2048 >"$work/tail" 2>/dev/null
    size_of "$work/tail"
    say tail "$bytes"
    cat "$work/tail"
    log=
}
