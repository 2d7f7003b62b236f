# The supervisor: it stays outside of the script's reach, and tells how the script ended.
# One line each, sent over standard input: see bootstrap.rs.
IFS= read -r deploy_n
IFS= read -r deploy_c
trap : HUP INT TERM
if command -v setsid >/dev/null 2>&1; then deploy_g=setsid deploy_w=; else deploy_g= deploy_w=$$; fi
exec 4>&2 2>/dev/null
$deploy_g /bin/sh -c "$deploy_c" sh $deploy_w 2>&4 4>&-
deploy_s=$?
printf "\036%s %s\n" "$deploy_n" "$deploy_s"
printf "\036%s %s\n" "$deploy_n" "$deploy_s" >&4
exit "$deploy_s"
