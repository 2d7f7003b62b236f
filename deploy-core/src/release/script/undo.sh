# The way back to a release that the host has, as a task of its own. $release is the one that is undone,
# $to what the host goes back to: last_good, previous, or release:<id>. Nothing is fetched or sent, and
# nothing goes forward again.

log_prefix=undo-

# put_back: after a failure. Whatever is current stays so, and the note with it.
put_back() {
    stop_listening
    trap be_told_to_hurry TERM INT HUP
    holds_lock || return 0
    first_step=$step
    after_failure
    step=$first_step
}

prepare() {
    begin lock
    [ -d "$deploy" ] || leave_alone
    look_for_tools
    listen
    enter
    read_undo
    if [ "$current" != "$release" ]; then
        if [ "$undo_release" != "$release" ] || [ "$undo_target" != "$current" ]; then
            # Somebody went elsewhere by hand in between.
            [ "$undo_release" != "$release" ] || drop_undo
            leave_alone
        fi
        [ "$undo_to" != "$to" ] || target=$current
        taken_up="taking up what was interrupted"
    fi
    [ -n "$target" ] || find_target
    # With the switch of an earlier program that was killed.
    keep_lock "$root"
    finish "$taken_up"
}

# leave_alone: the host does not serve what is undone, so there is nothing to do.
leave_alone() {
    finish "does not serve $release: left as it is"
    outcome=rolled_back
    served=yes
    leave 0
}

# find_target: what the host goes back to, in $target. Releases have their order by their locks, of which
# each has a higher number than those before it.
find_target() {
    read_mark "$release"
    undone_order=$mark_order
    undone_previous=$mark_previous
    # What has no mark counts as the newest.
    [ -n "$mark_state" ] || undone_order=9223372036854775807
    best=-1
    there=
    count=0
    for entry in "$deploy"/marks/*; do
        entry=${entry##*/}
        plain "$entry" && [ "$entry" != "$release" ] && [ -d "$root/releases/$entry" ] || continue
        read_mark "$entry"
        count=$((count + 1))
        [ "$count" -gt 20 ] || there="$there${there:+, }$entry ($mark_state)"
        case $to:$mark_state in
            last_good:good)
                if [ "$mark_order" -lt "$undone_order" ] && [ "$mark_order" -gt "$best" ]; then
                    best=$mark_order
                    target=$entry
                fi
                ;;
            previous:good | previous:complete) [ "$entry" != "$undone_previous" ] || target=$entry ;;
            release:*:good | release:*:complete) [ "$entry" != "${to#release:}" ] || target=$entry ;;
        esac
    done
    [ -z "$target" ] || return 0
    [ "$count" -le 20 ] || there="$there, and $((count - 20)) more"
    case $to in
        last_good) wanted="no good release from before $release" ;;
        previous) wanted="not the release before $release${undone_previous:+, $undone_previous,} as a whole that has not failed" ;;
        *) wanted="not the release ${to#release:} as a whole that has not failed" ;;
    esac
    fail release_missing "the host has $wanted; beside $release it has ${there:-nothing}"
}

# write_undo: what is about to be done, unless an earlier attempt has noted the same.
write_undo() {
    [ "$undo_release:$undo_target:$undo_to" != "$release:$target:$to" ] || return 0
    replace "$deploy/undo" "release $release${newline}target $target${newline}to $to${newline}task $task" ||
        broken "the note of the rollback could not be written"
}

turn_back() {
    alive
    still_ours
    write_undo
    # Nobody needs to be there for what comes now: a host without a node is best off at the end of it.
    be_heedless
    switch_to "$target"
    previous=$release
    remark "$release" failed
    if [ -n "$has_after_switch" ]; then
        begin after_switch
        DEPLOY_ROLLBACK=1
        export DEPLOY_ROLLBACK
        hooks after_switch "$root/releases/$target" "$target" "$release" || fail "$hook_code" "$hook_message"
        finish
    fi
    if [ "$monitor" = yes ]; then
        await_verdict
    fi
}

# settle: it is done. The note goes last: what comes before it is done again after a crash.
settle() {
    stop_listening
    trap true TERM INT HUP
    still_ours
    read_mark "$target"
    [ "$mark_state" != complete ] || remark "$target" good
    outcome=rolled_back
    write_history
    served=yes
    drop_undo || broken "the note of the rollback could not be removed"
    leave 0
}

taken_up=
prepare
turn_back
settle
