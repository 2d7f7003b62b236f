# Putting the host back after a failure.

begun=

put_back() {
    stop_listening
    trap be_told_to_hurry TERM INT HUP
    # Whoever lost the lock touches nothing but what bears the run's own name.
    rm -rf "$incoming" 2>/dev/null
    holds_lock || return 0
    first_step=$step
    if [ -n "$switched" ]; then
        if [ "$rollback" = yes ]; then
            go_back
        else
            mark_as failed
        fi
    elif [ -n "$begun" ]; then
        discard "$release" || further host_failed "releases/$release could not be removed"
    fi
    after_failure
    step=$first_step
}

# go_back: the release that was served before is served again, and its services are started again by
# the hooks that run after a switch.
go_back() {
    step=rollback
    forwarded=0
    say step rollback begin
    if [ -n "$previous_link" ]; then
        [ -d "$(directory_of "$previous_link")" ] && point_to "$previous_link"
    else
        rm -f "$root/current" 2>/dev/null && durable "$root"
    fi || {
        further host_failed "the release before, $previous_link, could not be made current again"
        mark_as failed
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
    mark_as failed
    finish
}
