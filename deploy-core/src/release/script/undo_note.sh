# The note of a rollback that is under way, .deploy/undo. It is written before the switch and goes when
# the release that is current again has proven itself, so that the next attempt of the same rollback
# takes up what was interrupted, or failed.

# read_undo: into $undo_…, all empty when there is none.
read_undo() {
    undo_release='' undo_target='' undo_to=''
    [ -f "$deploy/undo" ] || return 0
    while read -r key value; do
        case $key in
            release) undo_release=$value ;;
            target) undo_target=$value ;;
            to) undo_to=$value ;;
        esac
    done <"$deploy/undo"
    plain "$undo_target" && plain "$undo_release" || undo_release=
}

drop_undo() {
    [ ! -e "$deploy/undo" ] || { rm -f "$deploy/undo" && durable "$deploy"; }
}

# forget_undo: a new release is about to be switched to, and any rollback is over. What it was to undo
# stays undone, also when the crash that interrupted it came before the mark; it is in $undone then.
undone=
forget_undo() {
    read_undo
    [ -n "$undo_release" ] || return 0
    if [ "$undo_release" != "$release" ] && [ "$undo_release" != "$current" ]; then
        undone=$undo_release
        remark "$undone" failed
    fi
    drop_undo || broken "the note of a rollback could not be removed"
}
