# The mark of a release, in .deploy/marks: what is known about it, one fact a line. States: unfinished
# (never to be used), complete (may be switched to), good (was proven), failed.
#
# What becomes known later is added at the end, and the last word counts. So a crash that tears it leaves
# what was known before, and it lasts once the file was synced.

# begin_mark: the first mark of a release, in the place of none. One that a crash tore does not say that
# the release may be used either.
begin_mark() {
    printf '%s\n' "state unfinished" "sha256 $sha256" "task $task" "order $order" "previous $previous" \
        >"$deploy/marks/$release" || no_mark "$release"
}

# mark_as <state>: what this deployment's release is now; and of what was there before, who made it so.
mark_as() {
    set -- "state $1"
    [ -z "$present" ] || set -- "task $task" "order $order" "previous $previous" "$@"
    # The empty line ends one that a crash tore.
    printf '%s\n' '' "$@" >>"$deploy/marks/$release" || no_mark "$release"
}

# remark <release> <state>: another state for a release that has a mark, durably.
remark() {
    read_mark "$1"
    [ -n "$mark_state" ] || return 0
    printf '%s\n' '' "state $2" >>"$deploy/marks/$1" && durable "$deploy/marks/$1" || no_mark "$1"
}

no_mark() {
    broken "the mark of $1 could not be written"
}

# read_mark <release>: into $mark_…, all empty when there is none.
read_mark() {
    mark_state='' mark_sha256='' mark_task='' mark_order='' mark_previous=''
    [ -f "$deploy/marks/$1" ] || return 0
    while read -r key value; do
        case $key:$value in
            state:unfinished | state:complete | state:good | state:failed) mark_state=$value ;;
            sha256:*) mark_sha256=$value ;;
            task:*) mark_task=$value ;;
            order:*) mark_order=$value ;;
            previous:*) mark_previous=$value ;;
        esac
    done <"$deploy/marks/$1"
    plain "$mark_previous" || mark_previous=
    # What has no digest is not ours to use.
    plain "$mark_sha256" || { mark_sha256=; [ "$mark_state" = unfinished ] || mark_state=; }
    is_number "$mark_order" || mark_order=0
}

# unusable <release>: says so in the place of all that its mark says.
unusable() {
    { echo "state unfinished" >"$deploy/marks/$1"; } 2>/dev/null
}

# discard <release…>: removes releases. Their marks say first that they may not be used, so that half of
# a release is never taken for a whole one. How many have gone is in $gone, and those that could not be
# removed are in $stayed.
discard() {
    stayed=
    gone=$#
    # Each name gives its place to what is to be removed.
    for entry in "$@"; do
        shift
        if [ -e "$root/releases/$entry" ] || [ -h "$root/releases/$entry" ]; then
            unusable "$entry"
            set -- "$@" "$root/releases/$entry"
        fi
        [ ! -f "$deploy/marks/$entry" ] || set -- "$@" "$deploy/marks/$entry"
    done
    [ $# -eq 0 ] || rm -rf "$@" 2>/dev/null
    for left in "$@"; do
        [ "${left%/*}" = "$root/releases" ] && [ -e "$left" ] || continue
        stayed="$stayed ${left##*/}"
        gone=$((gone - 1))
        # Out of the way at least, where the next program tries again.
        mv "$left" "$root/releases/.trash-$run-${left##*/}" 2>/dev/null || unusable "${left##*/}"
    done
    [ -z "$stayed" ]
}
