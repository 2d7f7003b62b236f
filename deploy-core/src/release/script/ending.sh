# Ending a process group, by signals that reach it also when it is another user's. Part of the program,
# and of the watchers of its hooks.

signal_program='kill "-$1" "-$2" 2>/dev/null || kill "-$1" "-$3" 2>/dev/null'

# signal_group <signal> <leader>. The group is not there yet for a moment after the start. With $way
# set it is that of a hook of another user; see as_user.sh.
signal_group() {
    if [ -z "$way" ]; then
        kill "-$1" "-$2" 2>/dev/null || kill "-$1" "$2" 2>/dev/null
        return
    fi
    # What it has not read yet it never runs. Its process id stays.
    [ "$1" = 0 ] || dd if=/dev/null of="$input" bs=16 seek=1 count=0 2>/dev/null
    theirs=
    { IFS=' ' read -r theirs <"$input"; } 2>/dev/null
    case $theirs in '' | 0* | 1 | *[!0-9]*) theirs=$2 ;; esac
    # The number is the other user's word, so it is signalled with the other user's rights alone.
    case $way in
        sudo) sudo -n -H -u "$hook_user" -- sh -c "$signal_program" signal "$1" "$theirs" "$2" ;;
        su) su -s /bin/sh "$hook_user" -c "$signal_program" signal "$1" "$theirs" "$2" ;;
    esac </dev/null >/dev/null 2>&1 3<&-
    signalled=$?
    # What stands between us and the hook, when it is ours to end.
    [ "$1" != KILL ] || kill -KILL "-$2" 2>/dev/null
    return "$signalled"
}

# meanwhile: what is done again and again while a group is given time to end.
meanwhile() {
    true
}

# end_group <leader>: TERM, up to 5 s, KILL; KILL at once when we are in a hurry.
end_group() {
    patience=50
    tenths=1
    # Each look at another user's group is a run of sudo.
    [ -z "$way" ] || tenths=5
    [ -n "$hurry" ] || signal_group TERM "$1"
    while [ -z "$hurry" ] && [ "$patience" -gt 0 ] && signal_group 0 "$1"; do
        sleep "0.$tenths" 2>/dev/null || { sleep 1; patience=$((patience - 9)); }
        patience=$((patience - tenths))
        meanwhile
    done
    signal_group KILL "$1"
}
