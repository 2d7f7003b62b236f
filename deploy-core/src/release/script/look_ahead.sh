# What an installation has to know before it begins: the tools that its package needs, whether the
# release is here already, and the space.

look_for_package_tools() {
    [ "$mode" = stream ] || return 0
    case $format in
        tar) need_tools tar ;;
        tar.gz) need_tools tar gzip ;;
        tar.zst) need_tools tar zstd ;;
        tar.xz) need_tools tar xz ;;
        zip) need_tools unzip ;;
    esac
    find_digest_tool
}

# look_for_release: whether this deployment's release is here already, in $present, and what to go
# back to, in $previous and $previous_link.
look_for_release() {
    present=
    previous=$current
    previous_link=$current_link
    read_mark "$release"
    if [ "$current" = "$release" ]; then
        previous=$mark_previous
        previous_link=${previous:+releases/$previous}
    fi
    # Nothing becomes current before it is whole and on the disk: the word for that is all that a crash lost.
    [ "$mark_state" != unfinished ] || [ "$current" != "$release" ] || mark_state=complete
    [ "$mark_state" != unfinished ] || mark_state=
    if [ -n "$mark_state" ] && [ "$mark_sha256" = "$sha256" ] && [ -d "$root/releases/$release" ]; then
        present=$mark_state
    elif [ "$current" = "$release" ]; then
        fail invalid "current points to $release already, which was made of another package"
    fi
    # A failed release is made anew, unless it is the one that is served.
    if [ "$present" = failed ] && [ "$current" != "$release" ]; then
        present=
    fi
    [ -n "$present" ] || discard "$release" || broken "releases/$release could not be removed"
}

# look_for_space: kept packages make room, and the one that is reused needs none.
look_for_space() {
    [ -z "$reusable" ] || needed_kib=$((needed_kib - size / 1024))
    look_for_free
    if [ "$free" -lt "$needed_kib" ]; then
        drop_packages
        look_for_free
    fi
    [ "$free" -ge "$needed_kib" ] ||
        fail host_full "the release needs $needed_kib KiB on the file system of $root, and $free KiB are free"
}
