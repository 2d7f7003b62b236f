# Putting the host back after a failure.

published=

put_back() {
    stop_listening
    trap be_told_to_hurry TERM INT HUP
    # Whoever lost the lock, or got it when a newer attempt had been here, touches nothing but what bears
    # the run's own name.
    rm -rf "$root/releases/.incoming-$run" 2>/dev/null
    holds_lock && [ "$failing" != host_fenced ] || return 0
    first_step=$step
    if [ -n "$switched" ]; then
        if [ "$rollback" = yes ]; then
            go_back
        else
            write_mark failed
        fi
    elif [ -n "$published" ]; then
        discard "$release" || further host_failed "releases/$release could not be removed"
    fi
    after_failure
    step=$first_step
}

# go_back: the release that was served before is served again, and its services are started again by
# the hooks that run after a switch.
go_back() {
    step=rollback
    say step rollback begin
    if [ -n "$previous_link" ]; then
        [ -d "$(directory_of "$previous_link")" ] && said=$(point_to "$previous_link" 2>&1)
    else
        said=$(rm -f "$root/current" 2>&1) && durable "$root"
    fi || {
        further host_failed "the release before, $previous_link, could not be made current again"
        write_mark failed
        return
    }
    outcome=rolled_back
    if [ -n "$previous_link" ] && [ -n "$has_after_switch" ]; then
        DEPLOY_ROLLBACK=1
        export DEPLOY_ROLLBACK
        hooks after_switch "$(directory_of "$previous_link")" "$previous" "$release" || hook_went_wrong
    fi
    # The hooks may have outlasted the lock: whoever has it now decides about the release.
    holds_lock || return 0
    write_mark failed
    finish
}
