# The watcher of the hooks, a process in a group of its own, which nobody ends who ends our program's. It
# passes a hook's log on while it grows, and ends the hook when its time is over, and when our program was
# killed and can do it no more: <program> <hook> <seconds> <way> <user> <input> <work> <step> <log>, and
# <offset> <forwarded> <name> of that, and the hook's <number>. It stays for the hooks that come after it.
program=$1 hook=$2 left=$3 way=$4 hook_user=$5 input=$6 work=$7 step=$8 followed=$9
shift 9
offset=$1 forwarded=$2 name=$3 watched=$4
nonce=$DEPLOY_NONCE
unset DEPLOY_NONCE
hurry=
over=
woken=
nap=
lasts=
writer=
turn=
late=
# It is told to go, once it has finished its frame, and that there is another hook. What it does not hear
# files tell it, and a short pause comes to its end.
trap 'over=yes; kill -KILL "$nap" 2>/dev/null' TERM
trap 'woken=yes; [ "$lasts" = 0.05 ] || kill -KILL "$nap" 2>/dev/null' CONT

# put <command…>: in a process of its own, because a node that takes nothing must not keep us from our
# duties.
put() {
    "$@" &
    writer=$!
}

# take_turn: from now on we are writing, or changing the log, unless the hook has ended. Our program looks
# for that after it has said so, and we look for its word after we have said that; so one of us sees
# the other.
take_turn() {
    [ -z "$turn" ] || return 0
    turn=yes
    { echo busy >"$work/passed-$name"; } 2>/dev/null
    if ! has_ended && { [ -e "$work/passed-$name" ] || [ ! -d "$work" ]; }; then
        return 0
    fi
    give_turn
    return 1
}

# give_turn: we are not writing, and this is how far we are.
give_turn() {
    [ -n "$turn" ] || return 0
    turn=
    { echo "$offset $forwarded" >"$work/passed-$name"; } 2>/dev/null
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

meanwhile() {
    look
    bound_log
    [ -n "$writer" ] || give_turn
}

# has_ended: whether the hook has, or nothing of it is our business any more.
has_ended() {
    [ -z "$over" ] && [ ! -e "$work/ended-$name" ] || return 0
    # Hooks may remove anything.
    [ ! -d "$work" ] && ! kill -0 "$hook" 2>/dev/null
}

# rest: the pause until the next look grows while there is nothing. What wakes us does not end a short one, which is
# the next one, too.
rest() {
    if [ -z "$nap" ]; then
        sleep "$pause" >/dev/null 2>&1 &
        nap=$! lasts=$pause
    fi
    [ -z "$over$woken" ] || kill -KILL "$nap"
    wait "$nap"
    slept=$?
    ! kill -0 "$nap" 2>/dev/null || return
    nap=
    # A sleep that takes whole seconds only says 1, or 2; one that we ended says more.
    case $slept in 1 | 2) pause=1 ;; esac
    case $pause in
        0.05) pause=0.1 ;;
        0.1) pause=0.2 ;;
        0.2) pause=0.5 ;;
        *) [ -n "$hook" ] || pause=1 ;;
    esac
}

# go: away, without leaving anything.
go() {
    [ -z "$nap" ] || kill -KILL "$nap" 2>/dev/null
    exit
}

# begin_watch: of a hook that runs for $left seconds at most.
begin_watch() {
    clock
    # The clock tells whole seconds.
    until=$((seconds + left + 1))
    pause=0.05
}

# take_next: the next hook, when it is there; see tell_watcher.
take_next() {
    {
        IFS=' ' read -r hook left offset forwarded step name &&
            IFS= read -r followed && IFS= read -r input && IFS=' ' read -r whole way hook_user
    } 2>/dev/null <"$work/watch-$((watched + 1))" && [ "$whole" = whole ] || {
        hook=
        return 1
    }
    watched=$((watched + 1))
    begin_watch
}

# leave_it: the hook has ended. What is being written is written first.
leave_it() {
    while [ -n "$writer" ] && kill -0 "$writer" 2>/dev/null; do wait "$writer"; done
    writer=
    give_turn
    hook=
    pause=0.05
}

# catch_up: leaves hooks that have ended, up to the one that runs.
catch_up() {
    while [ -n "$hook" ] || take_next; do
        has_ended || return 0
        leave_it
    done
}

begin_watch
while :; do
    woken=
    [ ! -e "$work/go-$$" ] || over=yes
    if ! kill -0 "$program" 2>/dev/null; then
        # Nobody takes what we say.
        [ -z "$writer" ] || kill -KILL "$writer" 2>/dev/null
        catch_up
        [ -z "$hook" ] || signal_group KILL "$hook"
        go
    fi
    catch_up
    [ -z "$over" ] || go
    if [ -z "$hook" ]; then
        rest
        continue
    fi
    meanwhile
    clock
    if [ "$seconds" -ge "$until" ] && { take_turn || ! has_ended; }; then
        late=yes
        echo late >"$work/late-$name"
        end_group "$hook"
        leave_it
        go
    fi
    rest
done
