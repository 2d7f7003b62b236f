# The watcher of a hook, a process in a group of its own, which nobody ends who ends our program's. It
# passes the hook's log on while it grows, and ends the hook when its time is over, and when our program was
# killed and can do it no more: <program> <hook> <seconds> <way> <user> <input> <work> <step> <log>, and
# <offset> <forwarded> <name> of that.
program=$1 hook=$2 left=$3 way=$4 hook_user=$5 input=$6 work=$7 step=$8 followed=$9
shift 9
offset=$1 forwarded=$2 name=$3
nonce=$DEPLOY_NONCE
unset DEPLOY_NONCE
hurry=
over=
nap=
writer=
noted=
late=
pause=0.05
# It is told when the hook has ended, and finishes its frame. What it does not hear yet the file tells it.
trap 'over=yes; kill -KILL "$nap" 2>/dev/null' TERM

# put <command…>: in a process of its own, because a node that takes nothing must not keep us from our
# duties.
put() {
    "$@" &
    writer=$!
}

# look: what is new goes to the node, as soon as it has what was before.
look() {
    if [ -n "$writer" ]; then
        # Whoever waits for a nap takes notice of this one's end, too.
        kill -0 "$writer" 2>/dev/null && return
        wait "$writer"
        writer=
    fi
    [ -n "$over" ] || ! pass_on || pause=0.05
}

# note: how far we are, for whoever goes on.
note() {
    [ "$offset $forwarded" != "$noted" ] || return 0
    noted="$offset $forwarded"
    echo "$noted" >"$work/passed-$name"
}

meanwhile() {
    look
    bound_log
    note
}

# has_ended: whether the hook has.
has_ended() {
    [ -z "$over" ] && [ ! -e "$work/ended-$name" ] || return 0
    # Hooks may remove anything.
    [ ! -d "$work" ] && ! kill -0 "$hook" 2>/dev/null
}

# rest: the pause until the next look grows while there is nothing.
rest() {
    sleep "$pause" >/dev/null 2>&1 &
    nap=$!
    [ -z "$over" ] || kill -KILL "$nap"
    wait "$nap"
    # A sleep that takes whole seconds only says 1, or 2; one that we ended says more.
    case $? in 1 | 2) pause=1 ;; esac
    nap=
    case $pause in 0.05) pause=0.1 ;; 0.1) pause=0.2 ;; 0.2) pause=0.5 ;; esac
}

clock
# The clock tells whole seconds.
until=$((seconds + left + 1))
while :; do
    if ! kill -0 "$program" 2>/dev/null; then
        signal_group KILL "$hook"
        [ -z "$writer" ] || kill -KILL "$writer" 2>/dev/null
        exit
    fi
    if has_ended || [ -n "$late" ]; then over=yes; fi
    meanwhile
    if [ -n "$over" ]; then
        while [ -n "$writer" ] && kill -0 "$writer" 2>/dev/null; do wait "$writer"; done
        exit
    fi
    clock
    if [ "$seconds" -ge "$until" ] && ! has_ended; then
        late=yes
        echo late >"$work/late-$name"
        end_group "$hook"
    else
        rest
    fi
done
