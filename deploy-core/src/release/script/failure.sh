# Failing and being told to stop. The first failure puts the host back and ends the program; what
# fails afterwards is only said.

stopped=
hurry=
failing=
child=

# The word to stop (TERM, or the end of standard input) ends what runs at the moment.
be_told_to_stop() {
    stopped=yes
    [ -z "$child" ] || signal_group TERM "$child"
}

# The same word while the host is being put back: no hook is waited for any more.
be_told_to_hurry() {
    hurry=yes
    [ -z "$child" ] || signal_group KILL "$child"
}

trap be_told_to_stop TERM INT HUP
# Caught, not ignored, so that it is the default again in everything that we start. A node that has
# gone makes our words fail, and nothing more.
trap true PIPE

# alive: goes on, unless we were told to stop.
alive() {
    [ -z "$stopped" ] || [ -n "$failing" ] || fail cancelled "the host was told to stop"
}

# fail <code> <message>: says the failure, puts the host back and ends the program. While the host is
# being put back it only says the failure. Never called in a subshell.
fail() {
    if [ -n "$failing" ]; then
        further "$1" "$2"
        return 1
    fi
    failing=$1
    say fail "$1" "$step" "$2"
    show_tail
    put_back
    leave 1
}

# further <code> <message>: says what failed while the host was being put back.
further() {
    say further "$1" "$step" "$2"
    show_tail
}

# must <command…>: runs a short command of ours; when it does not work, the release fails with what
# the command said.
must() {
    if [ -d "$work" ]; then
        "$@" >"$work/said" 2>&1 && return
        alive
        broken "$1: $(first_said)"
    fi
    said=$("$@" 2>&1) && return
    alive
    broken "$1: ${said%%"$newline"*}"
}

# broken <message>: something on the host does not work, which may be for want of space.
broken() {
    look_for_free
    if [ "$free" -lt 64 ]; then
        fail host_full "$1 (the file system of $root is full)"
    else
        fail host_failed "$1"
    fi
}
