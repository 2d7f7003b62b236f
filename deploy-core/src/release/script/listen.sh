# Listening to the node while the program works: a process of its own owns standard input from the
# moment the package is there. The end of the input means that nobody is there any more.

listener=

listen() {
    hear <&3 &
    listener=$!
}

hear() {
    trap - TERM
    if IFS= read -r word; then
        echo "$word" >"$work/verdict"
    else
        # Said again until it is understood: a shell may be told between two commands, where it hears
        # nothing before its next wait has ended.
        while kill -TERM $$; do sleep 1 >/dev/null 2>&1 3<&-; done
    fi
}

stop_listening() {
    [ -n "$listener" ] || return 0
    kill -KILL "$listener" 2>/dev/null
    wait "$listener" 2>/dev/null
    listener=
}

# await_verdict: what the node found out about the health of the release.
await_verdict() {
    begin probe
    say need verdict
    wait "$listener"
    listener=
    alive
    word=
    { read -r word <"$work/verdict"; } 2>/dev/null
    case $word in
        commit) finish ;;
        rollback) fail unhealthy "the node found it unhealthy" ;;
        *)
            stopped=yes
            alive
            ;;
    esac
}
