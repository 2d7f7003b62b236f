# What runs in the end when something failed, whatever the host serves then.

after_failure() {
    step=on_failure
    if [ -n "$has_on_failure" ] && holds_lock; then
        forwarded=0
        say step on_failure begin
        look_at_current
        hooks on_failure "$(directory_of "$current_link")" "$current" "$previous" || hook_went_wrong
        finish
    fi
}

hook_went_wrong() {
    further "$hook_code" "$hook_message"
}
