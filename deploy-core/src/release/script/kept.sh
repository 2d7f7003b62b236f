# Kept packages, in .deploy/packages by their SHA-256: those of the newest good releases, so that a
# package that was here is not sent again. They need no sync: what a crash tore fails its digest. A
# release's directory would not do, because hooks and shared paths change it.

reusable=
damaged=

# look_for_package: whether a kept package may be this one, by its name, in $reusable. Its SHA-256 decides
# before it is used; a host that has only MD5 keeps nothing.
look_for_package() {
    [ "$mode" = stream ] || return 0
    kept=$deploy/packages/$sha256
    if [ "$digest" = md5 ]; then
        keep_packages=0
    elif [ -f "$kept" ] && [ ! -h "$kept" ]; then
        reusable=yes
    fi
}

# reuse_package: in $spool, when it is as it was; it goes when it is not.
reuse_package() {
    digest_of "$kept"
    if [ "$found" = "$sha256" ]; then
        spool=$kept
        finish "on the host already"
        begin verify
        finish
    else
        rm -f "$kept"
        damaged="sent again: the package on the host was damaged"
    fi
}

# drop_packages: all but the one that is of use now.
drop_packages() {
    for left in "$deploy"/packages/*; do
        [ -n "$reusable" ] && [ "$left" = "$kept" ] || rm -f "$left"
    done
}

# prune_packages: keeps this release's package, and those of the newest good releases with it.
prune_packages() {
    if [ "$keep_packages" -gt 0 ] && [ -n "$spool" ] && [ "$spool" != "$kept" ]; then
        mv -f "$spool" "$kept" 2>/dev/null
    fi
    wanted=' '
    for good in $goods; do
        [ "$keep_packages" -gt 0 ] || break
        case $wanted in
            *" ${good##*:} "*) ;;
            *) wanted="$wanted${good##*:} " keep_packages=$((keep_packages - 1)) ;;
        esac
    done
    set --
    for left in "$deploy"/packages/*; do
        case $wanted in
            *" ${left##*/} "*) ;;
            *) [ ! -e "$left" ] || set -- "$@" "$left" ;;
        esac
    done
    [ $# -eq 0 ] || rm -rf "$@"
}
