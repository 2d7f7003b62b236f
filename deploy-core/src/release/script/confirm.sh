# Confirming a release over a new connection, and finding out what became of it.

deploy=$root/.deploy
work=$deploy/work.$run

# confirm: to the program that waits, while it is there.
confirm() {
    [ -d "$work" ] || return 0
    printf '%s\n' "$token" >"$work/.confirm" 2>/dev/null && mv -f "$work/.confirm" "$work/confirm" 2>/dev/null
}

# What the program works in goes with its end.
confirm
while [ -d "$work" ]; do sleep 0.1 2>/dev/null || sleep 1; done
read_mark "$release"
if [ "$mark_state" = good ] && [ "$mark_task" = "$task" ] &&
    [ "$(readlink "$root/current")" = "releases/$release" ]; then
    say serves "$release"
fi
say end 0 checked
