# The package: taken from standard input, or from an earlier release, checked, unpacked. Where our own
# code runs on the host it does this in process instead, and only says when the release is in its place.

# find_digest_tool: what computes a digest here, as a command in $digest_tool, and which, in $digest. For
# what is large, $quick_tool is tried first: it has the processor's own instructions for it.
find_digest_tool() {
    quick_tool=
    if [ "$size" -ge 1048576 ] && command -v openssl >/dev/null 2>&1; then
        quick_tool='openssl dgst -sha256 -r'
    fi
    digest=sha256
    if command -v sha256sum >/dev/null 2>&1; then
        digest_tool='sha256sum'
    elif command -v shasum >/dev/null 2>&1; then
        digest_tool='shasum -a 256'
    elif command -v openssl >/dev/null 2>&1; then
        digest_tool='openssl dgst -sha256 -r'
    elif busybox sha256sum </dev/null >/dev/null 2>&1; then
        digest_tool='busybox sha256sum'
    elif command -v md5sum >/dev/null 2>&1; then
        digest=md5 digest_tool='md5sum'
    elif busybox md5sum </dev/null >/dev/null 2>&1; then
        digest=md5 digest_tool='busybox md5sum'
    else
        fail tool_missing "the host lacks sha256sum, shasum, openssl and md5sum"
    fi
}

incoming=$root/releases/.incoming-$run

# take_package: the release's directory, filled, at $incoming.
take_package() {
    begin transfer
    if [ -n "$reusable" ]; then
        reuse_package
    fi
    if [ -z "$spool" ]; then
        receive_package
        [ -n "$spool" ] || return 0
    fi
    begin unpack
    unpack_package
    finish
}

# receive_package: in $spool, verified; in its place already when our own code did the work.
receive_package() {
    say need package
    if ! IFS= read -r answer <&3; then
        stopped=yes
        alive
    fi
    case $answer in
        placed) return ;;
        "package $size") ;;
        *) fail internal "the node gave an answer that is none" ;;
    esac
    spool=$work/package
    take_in
    if [ "$bytes" != "$size" ]; then
        stopped=yes
        alive
    fi
    finish "$damaged"
    begin verify
    verify_package
    # What is sent was found to have its SHA-256 before, and comes over a connection that nobody changes.
    case $digest in
        md5) finish "by MD5 and size: the host has no tool for SHA-256" ;;
        *) finish ;;
    esac
}

# take_in: what the node sends, in $spool, and how much that is, in $bytes. dd reads in larger pieces than head,
# and says how much; one that cannot count bytes says so before it reads. The node sends nothing more
# before it is asked again, so reading ahead takes nothing away.
take_in() {
    LC_ALL=C dd bs=131072 count="$size" iflag=fullblock,count_bytes <&3 >"$spool" 2>"$work/said"
    status=$?
    bytes=
    blocks=
    while read -r word _; do
        case $word in
            '' | *[!0-9+]*) ;;
            *+*) blocks=$word ;;
            *) bytes=$word ;;
        esac
    done <"$work/said"
    if [ "$status" -ne 0 ]; then
        alive
        [ -z "$blocks" ] && [ "$status" -lt 128 ] || broken "dd: $(first_said)"
        head -c "$size" <&3 >"$spool" 2>"$work/said" || broken "head: $(first_said)"
        bytes=
    fi
    [ -n "$bytes" ] || size_of "$spool"
}

verify_package() {
    digest_of "$spool"
    case $digest in
        md5) [ "$found" = "$md5" ] || fail digest_mismatch "the package has the MD5 $found on the host, and $md5 was sent" ;;
        *) [ "$found" = "$sha256" ] || fail digest_mismatch "the package has the SHA-256 $found on the host, and $sha256 was sent" ;;
    esac
}

# digest_of <file>: in $found.
digest_of() {
    # shellcheck disable=SC2086 # The tool and its options are our own words.
    { [ -n "$quick_tool" ] && digest_by $quick_tool "$1"; } || digest_by $digest_tool "$1" ||
        { alive; broken "$digest_tool: $(first_said)"; }
}

# digest_by <command…>: the digest that it gives, in $found. Some tools warn before they do.
digest_by() {
    run "$@" || return
    while read -r found _; do
        # A leading backslash says that the file's name was escaped.
        found=${found#\\}
        case ${#found}:$found in
            *:*[!0-9a-f]*) ;;
            64:* | 32:*) return ;;
        esac
    done <"$work/said"
    return 1
}

unpack_package() {
    case $format in
        tar) unpack_tar cat ;;
        tar.gz) unpack_tar 'gzip -dc' ;;
        tar.zst) unpack_tar 'zstd -dcq' ;;
        tar.xz) unpack_tar 'xz -dc' ;;
        zip) run unzip -q -o "$spool" -d "$incoming" ;;
        single) run cp "$spool" "$incoming/$file_name" && chmod 755 "$incoming/$file_name" ;;
    esac || { alive; broken "unpacking: $(first_said)"; }
    # Its room is free at once.
    [ "$keep_packages" -gt 0 ] || [ "$spool" = "$kept" ] || true >"$spool"
    [ -z "$plain_modes" ] || return 0
    # The same modes as in process, whatever the tool made of them.
    run chmod -R u+rwX,go-w,a-s,-t "$incoming" || { alive; broken "chmod: $(first_said)"; }
}

# unpack_tar <decompressor>: either of the two may fail. Every tar reads a pipe to its end, and the
# decompressor has said how it ended by then. It does not outlive a tar that is stopped.
unpack_tar() {
    # shellcheck disable=SC2086 # The tool and its options are our own words.
    { $1 <"$spool" && true >"$work/whole"; } 2>"$work/said" 3<&- |
        tar -xof - -C "$incoming" >>"$work/said" 2>&1 3<&- &
    child=$!
    heed
    await_child
    [ "$status" -eq 0 ] && [ -e "$work/whole" ]
}
