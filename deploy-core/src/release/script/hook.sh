# Hooks: the author's own commands. Each runs in its own process group with a log file as its output,
# so that a daemon it leaves behind holds nothing of ours; its watcher passes the log on while it grows.

log=
log_prefix=
forwarded=0

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

# watch_hook <hook> <seconds>. What proves our words is in no list of processes.
watch_hook() {
    set -- sh -c "$common_program$watch_program" watch $$ "$1" "$2" "$way" "$hook_user" "$input" \
        "$work" "$step" "$followed" "$offset" "$forwarded" "$name"
    if [ -n "$group" ]; then
        DEPLOY_NONCE=$nonce "$group" "$@" </dev/null 2>/dev/null 3<&- &
    else
        set -m
        DEPLOY_NONCE=$nonce "$@" </dev/null 2>/dev/null 3<&- &
        set +m
    fi
    watcher=$!
}

# take_over: the hook has ended, and what its watcher has not passed on is passed on here. One that ends a
# hook that is late goes on until nothing is left of it.
take_over() {
    [ -e "$late" ] || { true >"$work/ended-$name"; kill -TERM "$watcher"; } 2>/dev/null
    # A signal may end a wait before its time, and two must not write at once.
    while kill -0 "$watcher" 2>/dev/null; do wait "$watcher"; done 2>/dev/null
    if { read -r before so_far <"$work/passed-$name"; } 2>/dev/null && is_number "$so_far"; then
        offset=$before forwarded=$so_far
    elif [ -e "$work/passed-$name" ]; then
        # A full disk: nothing is passed on twice.
        size_of "$log"
        offset=$bytes
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
