# The release, from the lock to the end.

present=
spool=

prepare() {
    begin lock
    look_for_tools
    look_for_package_tools
    enter
    look_for_release
    if [ -z "$present" ]; then
        look_for_package
        look_for_space
        begun=yes
        begin_mark
        keep_lock "$deploy/marks/$release" "$deploy/marks"
    else
        # With what an earlier program did that was killed.
        keep_lock "$deploy/marks/$release" "$root"
    fi
    if [ "$present" = good ] && [ "$current" = "$release" ]; then
        finish "served already"
        outcome=succeeded
        served=yes
        leave 0
    fi
    finish
}

# lay_out: the release is in its final place, complete, and on the disk. It gets its final name before the
# hooks run, because they may write absolute paths; until it is complete its mark says that it is not.
lay_out() {
    if [ -z "$present" ]; then
        take_package
        listen
        if [ -n "$has_shared" ]; then
            begin link
            shared_paths
            finish
        fi
        still_ours
        must mv "$incoming" "$root/releases/$release"
    else
        listen
        begin transfer
        finish "on the host already"
    fi
    if [ -n "$has_before_switch" ] && ! { [ -n "$present" ] && [ "$mark_task" = "$task" ]; }; then
        begin before_switch
        hooks before_switch "$root/releases/$release" "$release" "$previous" || fail "$hook_code" "$hook_message"
        finish
    fi
    alive
    durable_tree "$root/releases/$release"
    still_ours
    # This word lasts with the switch. One that was good before has to prove itself again.
    mark_as complete
}

# bring_to_life: the release is current, and healthy.
bring_to_life() {
    still_ours
    forget_undo
    switch_to "$release" "$deploy/marks/$release"
    if [ -n "$has_after_switch" ]; then
        begin after_switch
        hooks after_switch "$root/releases/$release" "$release" "$previous" || fail "$hook_code" "$hook_message"
        finish
    fi
    if [ "$monitor" = yes ]; then
        await_verdict
    fi
    if [ -n "$confirm_seconds" ]; then
        await_confirmation
    fi
    stop_listening
    trap true TERM INT HUP
    alive
    # From here on nobody can stop it: it is done.
    still_ours
    # This word lasts with the history's last line.
    mark_as good
    outcome=succeeded
}

prepare
lay_out
bring_to_life
prune
leave 0
