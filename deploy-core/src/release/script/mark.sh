# The mark of a release, in .deploy/marks: what is known about it. States: unfinished (never to be
# used), complete (may be switched to), good (was proven), failed.

# draft_mark <state>: writes beside its mark what this deployment's release is to be marked as.
draft_mark() {
    beside "$deploy/marks/$release"
    printf '%s\n' "state $1" "sha256 $sha256" "task $task" "order $number" "previous $previous" >"$beside" ||
        no_mark
}

# set_mark: what was drafted, and is on the disk, becomes the mark. It lasts once its directory was
# synced.
set_mark() {
    mv -f "$beside" "$deploy/marks/$release" || no_mark
}

# write_mark <state>: marks this deployment's release, durably.
write_mark() {
    draft_mark "$1"
    durable "$beside" || no_mark
    set_mark
    durable "$deploy/marks" || no_mark
}

# begin_mark: the first mark of a release takes the place of none. One that a crash tore does not say
# that the release may be used either, so one sync after the rename is enough.
begin_mark() {
    draft_mark unfinished
    set_mark
    durable "$deploy/marks/$release" "$deploy/marks" || no_mark
}

no_mark() {
    broken "the mark of $release could not be written"
}

# read_mark <release>: into $mark_…, all empty when there is none.
read_mark() {
    mark_state='' mark_sha256='' mark_task='' mark_order='' mark_previous=''
    [ -f "$deploy/marks/$1" ] || return 0
    while read -r key value; do
        case $key in
            state) mark_state=$value ;;
            sha256) mark_sha256=$value ;;
            task) mark_task=$value ;;
            order) mark_order=$value ;;
            previous) mark_previous=$value ;;
        esac
    done <"$deploy/marks/$1"
    plain "$mark_previous" || mark_previous=
    case $mark_order in '' | *[!0-9]*) mark_order=0 ;; esac
}

# remark <release> <state>: another state for a release that has a mark, durably.
remark() {
    read_mark "$1"
    [ -n "$mark_state" ] || return 0
    beside "$deploy/marks/$1"
    printf '%s\n' "state $2" "sha256 $mark_sha256" "task $mark_task" "order $mark_order" \
        "previous $mark_previous" >"$beside" &&
        durable "$beside" && mv -f "$beside" "$deploy/marks/$1" && durable "$deploy/marks" ||
        broken "the mark of $1 could not be written"
}

# discard <release>: removes a release. It has another name before its first file goes, so that half
# of a release is never taken for a whole one.
discard() {
    trash=$root/releases/.trash-$run-$1
    if [ -e "$root/releases/$1" ] || [ -h "$root/releases/$1" ]; then
        mv "$root/releases/$1" "$trash" 2>/dev/null || return 1
    fi
    rm -rf "$deploy/marks/$1" "$trash" 2>/dev/null
}
