# The supervisor: it stays outside of the script's reach, and tells how the script ended.
# One command a line, and nothing that a login shell changes between single quotes: see bootstrap.rs.
# Lines that are not for it are passed over: a password that nobody asked for.
while IFS= read -r deploy_b; do case $deploy_b in "deploy-boot "*) break ;; esac; done
deploy_n=${deploy_b#deploy-boot }
case $deploy_n in "$deploy_b") exit 125 ;; esac
trap : HUP INT TERM
if command -v setsid >/dev/null 2>&1; then deploy_g=setsid deploy_w=; else deploy_g= deploy_w=$$; fi
exec 4>&2 2>/dev/null
$deploy_g /bin/sh -c "$1" sh $deploy_w 2>&4 4>&-
deploy_s=$?
echo "$deploy_n $deploy_s"
echo "$deploy_n $deploy_s" >&4
exit "$deploy_s"
