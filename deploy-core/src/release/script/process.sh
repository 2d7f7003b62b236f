# Running what takes long in a process group of its own, so that it can be ended as a whole.

if command -v setsid >/dev/null 2>&1; then
    group=setsid
else
    # Shells without job control outside of a terminal need setsid; the others do it themselves.
    group=
fi

# signal_group <signal> <leader>. The group is not there yet for a moment after the start.
signal_group() {
    kill "-$1" "-$2" 2>/dev/null || kill "-$1" "$2" 2>/dev/null
}

# end_group <leader>: TERM, up to 5 s, KILL; KILL at once when we are in a hurry.
end_group() {
    clock
    ending=$((seconds + 5))
    [ -n "$hurry" ] || signal_group TERM "$1"
    while [ -z "$hurry" ] && kill -0 "-$1" 2>/dev/null && [ "$seconds" -lt "$ending" ]; do
        sleep 0.1 2>/dev/null || sleep 1
        clock
    done
    signal_group KILL "$1"
}

# start <command…>: in the background, in its own group, without our standard input. The caller
# redirects the output. The leader's id is in $child.
start() {
    if [ -n "$group" ]; then
        "$group" "$@" </dev/null 3<&- &
        child=$!
    else
        set -m
        "$@" </dev/null 3<&- &
        child=$!
        set +m
    fi
    [ -z "$stopped" ] || [ -n "$failing" ] || signal_group TERM "$child"
}

# await_child: waits for $child, and ends its group when we are told to stop; its status in $status.
await_child() {
    wait "$child"
    status=$?
    if [ -n "$hurry" ] || { [ -n "$stopped" ] && [ -z "$failing" ]; }; then
        end_group "$child"
        wait "$child" 2>/dev/null
        status=143
    fi
    child=
}

# run <command…>: runs a long command of ours and gives its status; see first_said.
run() {
    start "$@" >"$work/said" 2>&1
    await_child
    return "$status"
}

first_said() {
    head -n 1 "$work/said" 2>/dev/null | cut -c 1-300
}
