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
pause=0.05
# It is told when the hook has ended, and finishes its frame. What it does not hear yet the file tells it.
trap 'over=yes; kill -KILL "$nap" 2>/dev/null' TERM
# A node that has gone makes our words fail, and nothing more.
trap true PIPE

# look: what is new goes to the node. The pause until the next look grows while there is nothing.
look() {
    if pass_on; then
        pause=0.05
        echo "$offset $forwarded" >"$work/passed-$name"
    fi
    bound_log
}

meanwhile() {
    look
}

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
while [ -z "$over" ]; do
    if ! kill -0 "$program" 2>/dev/null; then
        signal_group KILL "$hook"
        exit
    fi
    [ ! -e "$work/ended-$name" ] || exit
    # Hooks may remove anything.
    [ -d "$work" ] || kill -0 "$hook" 2>/dev/null || exit
    look
    clock
    if [ "$seconds" -ge "$until" ]; then
        echo late >"$work/late-$name"
        end_group "$hook"
        exit
    fi
    [ -n "$over" ] || rest
done
