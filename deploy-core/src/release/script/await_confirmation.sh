# Waiting for the confirmation: a word over a new connection that proves that the release has not cut the
# host off. Without it in time the host goes back by itself, whether anybody is there or not.

# await_confirmation: for the time being neither the end of the input nor a signal counts, which both come
# from connections that die: who wants us to stop says so.
await_confirmation() {
    be_heedless
    trap true TERM INT HUP
    begin confirm
    alive
    # The one that listened until now has ended with the verdict, if there was one.
    [ -n "$listener" ] || listen
    clock
    window_ends=$((seconds + confirm_seconds))
    until [ -e "$work/stop" ]; do
        word=
        { read -r word <"$work/confirm"; } 2>/dev/null
        if [ "$word" = "$confirm_token" ]; then
            finish
            return
        fi
        clock
        [ "$seconds" -lt "$window_ends" ] ||
            fail unconfirmed "no confirmation came over a new connection within $confirm_seconds s"
        sleep 0.2 2>/dev/null || sleep 1
    done
    stopped=yes
    alive
}
