# Hooks: the author's own commands. Each runs in its own process group with a log file as its output,
# so that a daemon it leaves behind holds nothing of ours; the log is passed on while it grows.

log=
log_prefix=

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
    log=$deploy/logs/$release/$log_prefix$step-$point-$1.log
    late=$work/late-$step-$point-$1
    over_mark=$work/over-$step-$point-$1
    [ -d "${log%/*}" ] || mkdir -p "${log%/*}"
    size_of "$log"
    hook_user=${4-}
    [ -z "$hook_user" ] || way_to "$hook_user"
    # The command may start a daemon: it gets the log, and no other file of ours.
    if [ -z "$way" ]; then
        start "$hook_directory" sh -c "$3" >>"$log" 2>&1
    else
        hand_over "$3"
        start_as_user >>"$log" 2>&1
    fi
    guard_hook "$child" "$2"
    # Ignored until the follower listens; the file tells it what it missed.
    trap '' USR1
    follow "$log" "$bytes" &
    follower=$!
    trap - USR1
    await_child
    way='' input=/dev/null
    if [ -e "$late" ]; then
        wait "$guard"
    else
        signal_group KILL "$guard"
        wait "$guard" 2>/dev/null
    fi
    echo over >"$over_mark"
    kill -USR1 "$follower" 2>/dev/null
    # A signal may end a wait before its time, and two must not write at once.
    while kill -0 "$follower" 2>/dev/null; do wait "$follower"; done
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

# guard_hook <hook> <seconds>
guard_hook() {
    set -- sh -c "$ending_program$guard_program" guard $$ "$1" "$2" "$late" "$way" "$hook_user" "$input"
    if [ -n "$group" ]; then
        "$group" "$@" </dev/null >/dev/null 2>&1 3<&- &
    else
        set -m
        "$@" </dev/null >/dev/null 2>&1 3<&- &
        set +m
    fi
    guard=$!
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
