# Running what takes long, so that it can be ended: a hook in a process group of its own, as a whole.

if command -v setsid >/dev/null 2>&1; then
    group=setsid
else
    # Shells without job control outside of a terminal need setsid; the others do it themselves.
    group=
fi

input=/dev/null

# start <directory> <command…>: in the background, in its own group, with $input in place of our standard
# input. The caller redirects the output. The leader's id is in $child.
start() {
    [ -n "$group" ] || set -m
    {
        cd "$1" || exit 127
        shift
        # shellcheck disable=SC2086 # Nothing, or one word.
        exec $group "$@" <>"$input" 3<&-
    } &
    child=$!
    [ -n "$group" ] || set +m
    heed
}

# heed: what was started when we had been told to stop already.
heed() {
    [ -z "$stopped" ] || [ -n "$failing" ] || signal_group TERM "$child"
}

# must_end: whether nothing is waited for any more.
must_end() {
    [ -n "$hurry" ] || { [ -n "$stopped" ] && [ -z "$failing" ]; }
}

# await_child: waits for $child, and ends its group when we are told to stop; its status in $status.
await_child() {
    wait "$child"
    status=$?
    if must_end; then
        end_group "$child"
        wait "$child" 2>/dev/null
        status=143
    fi
    child=
}

# run <command…>: runs a long command of ours, which starts no others, and gives its status; see first_said.
run() {
    "$@" >"$work/said" 2>&1 3<&- &
    child=$!
    heed
    await_child
    return "$status"
}

# ask <command…>: what a short command of ours says, in $answer. A line costs no copy of the shell.
ask() {
    answer=
    "$@" 2>/dev/null >"$work/answer" && { IFS= read -r answer && ! IFS= read -r _; } <"$work/answer" ||
        answer=$("$@" 2>/dev/null)
}

first_said() {
    head -n 1 "$work/said" 2>/dev/null | cut -c 1-300
}
