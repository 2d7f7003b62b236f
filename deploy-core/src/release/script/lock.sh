# The lock of the project on this host: numbered files lock.<n>, of which the highest counts.
#
# A lock is taken by linking a finished file to the next number, which only one can do, and given
# back by a line at its end. Numbers only grow and the highest is never removed, so nobody who
# slept over another's turn can take it for his own: his number is lower, or there already. Nothing
# is left behind that a crash could leave in the way.
#
# A lock also keeps the fencing number of its holder. Nobody takes one whose own number is lower than
# that of another who has been here.

locked=
number=
lasting=
# Whether the last line of the history is known to be whole: the holder of a lock says so when it gives it back.
whole=

# highest_lock: the highest number in $highest, 0 when there is none.
highest_lock() {
    highest=0
    for file in "$deploy"/lock.*; do
        found=${file##*/lock.}
        is_number "$found" || continue
        [ "$found" -le "$highest" ] || highest=$found
    done
}

# look_at_locks: the highest number in $highest, what that lock says in $lock_…, and the highest fencing
# number in $seen; fails when the lock has gone. A crash may have torn the last lock, so all count.
look_at_locks() {
    highest_lock
    seen=0
    for file in "$deploy"/lock.*; do
        found=${file##*/lock.}
        is_number "$found" && [ "$found" != "$highest" ] || continue
        read_lock "$found" || continue
        [ "$lock_fence" -le "$seen" ] || seen=$lock_fence
    done
    lock_state=
    [ "$highest" -gt 0 ] || return 0
    read_lock "$highest" || return 1
    [ "$lock_fence" -le "$seen" ] || seen=$lock_fence
}

# read_lock <number>: into $lock_…; fails when it has gone.
read_lock() {
    lock_state='' lock_task='' lock_deployment='' lock_fence='' lock_reason='' lock_node='' lock_since=''
    lock_expires='' lock_pid='' lock_place='' lock_history=''
    while read -r key value; do
        case $key in
            state) lock_state=$value ;;
            task) lock_task=$value ;;
            deployment) lock_deployment=$value ;;
            fence) lock_fence=$value ;;
            reason) lock_reason=$value ;;
            node) lock_node=$value ;;
            since) lock_since=$value ;;
            expires) lock_expires=$value ;;
            pid) lock_pid=$value ;;
            place) lock_place=$value ;;
            history) lock_history=$value ;;
        esac
    done 2>/dev/null <"$deploy/lock.$1" || return 1
    # What a crash of the host tore counts as over.
    is_number "$lock_expires" || lock_expires=0
    is_number "$lock_fence" || lock_fence=0
    is_number "$lock_pid" || lock_pid=0
}

# Where process ids mean the same, in $place: this boot, this namespace, this user. Empty when unknown.
place_of_processes() {
    place=
    { read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null || return 0
    space=$(readlink /proc/self/ns/pid 2>/dev/null) || return 0
    user=
    while read -r key value; do
        case $key in Uid:) user=${value%%[!0-9]*} && break ;; esac
    done 2>/dev/null <"/proc/$$/status"
    [ -z "$user" ] || place="$boot $space $user"
}

# lock_is_open: whether the lock that was read may be taken: given back, expired, of a program that
# runs no more, or of an earlier attempt at our task. That one is given time to put the host back.
lock_is_open() {
    [ "$lock_state" != free ] || return 0
    [ "$lock_expires" -gt "$since" ] || return 0
    if [ -n "$place" ] && [ "$lock_place" = "$place" ] && [ "$lock_pid" -gt 0 ]; then
        kill -0 "$lock_pid" 2>/dev/null || return 0
        [ "$lock_task" = "$task" ] || return 1
        outlast "$lock_pid" && return 0
    fi
    [ "$lock_task" = "$task" ] && [ "$lock_fence" -lt "$fence" ]
}

# outlast <pid>: waits up to 60 s for the end of an earlier attempt. It is not ours to end: it has been
# told by the end of its input, and its number may be somebody else's by now.
outlast() {
    clock
    patience=$((seconds + 60))
    while kill -0 "$1" 2>/dev/null; do
        alive
        clock
        [ "$seconds" -lt "$patience" ] || return 1
        sleep 0.1 2>/dev/null || sleep 1
    done
}

# claim: writes our lock, whole, beside.
claim() {
    printf '%s\n' "state held" "task $task" "deployment $deployment" "fence $fence" \
        "reason $reason" "node $node" "since $since_text" "expires $expires" "pid $$" \
        "place $place" >"$deploy/claim.$run"
}

# read_the_time: what it is, in $since and in words in $since_text, what the clock says then, in $since_clock, and
# until when a lock of ours holds.
read_the_time() {
    clock
    since_clock=$seconds
    ours_until=$((seconds + lock_seconds))
    since=$(date -u '+%s %Y-%m-%dT%H:%M:%SZ')
    since_text=${since#* }
    since=${since% *}
    expires=$((since + lock_seconds))
}

take_lock() {
    read_the_time
    patient_until=$((seconds + lock_wait))
    told=
    place_of_processes
    tries=0
    while [ "$tries" -lt 50 ]; do
        tries=$((tries + 1))
        alive
        look_at_locks || continue
        [ "$seen" -le "$fence" ] || refuse_fence
        if [ "$highest" -gt 0 ] && ! lock_is_open; then
            wait_for_lock
            tries=0
            continue
        fi
        claim || broken "the lock could not be written"
        number=$((highest + 1))
        if said=$(ln "$deploy/claim.$run" "$deploy/lock.$number" 2>&1); then
            whole=
            [ "$lock_state:$lock_history" != free:whole ] || whole=yes
            highest_lock
            if [ "$highest" -eq "$number" ]; then
                locked=yes
                return
            fi
            rm -f "$deploy/claim.$run" "$deploy/lock.$number"
        elif [ ! -e "$deploy/lock.$number" ] && [ -e "$deploy/claim.$run" ]; then
            broken "ln: ${said%%"$newline"*}"
        fi
    done
    fail host_locked "other deployments are taking the lock all the time"
}

# wait_for_lock: a second, unless the lock that was read was waited for long enough. Each holder is
# told once.
wait_for_lock() {
    [ "$seconds" -lt "$patient_until" ] || fail host_locked "locked by $(lock_in_words)"
    [ "$told" = "$highest" ] || say again host_locked "$step" "locked by $(lock_in_words)"
    told=$highest
    sleep 1
    read_the_time
}

refuse_fence() {
    fail host_fenced "a newer deployment has been here (its number is $seen, ours $fence)"
}

# lock_in_words: who holds the lock that was read.
lock_in_words() {
    printf '%s %s\n' "deployment $lock_deployment (task $lock_task, from $lock_node)" \
        "since $lock_since, for at most $((lock_expires - since)) s more: $lock_reason"
}

# holds_lock: whether nobody took it from us.
holds_lock() {
    [ -n "$locked" ] || return 1
    highest_lock
    [ "$highest" = "$number" ]
}

# keep_lock [file…]: the lock, and with it the fencing number, outlasts a crash, and so do these.
keep_lock() {
    durable "$deploy/lock.$number" "$deploy" "$@" || broken "the lock could not be synced"
    lasting=yes
}

# still_ours: nothing is done for a holder whose time is over.
still_ours() {
    holds_lock || fail host_fenced "the lock was lost to a newer attempt or deployment"
    clock
    [ "$seconds" -lt "$ours_until" ] || fail timed_out "the lock has expired"
}

unlock() {
    if holds_lock; then
        printf '%s\n' ${whole:+"history whole"} "state free" >>"$deploy/lock.$number"
    fi
    locked=
}
