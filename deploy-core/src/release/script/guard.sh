# The guard of a hook, a process of its own: <program> <hook> <seconds> <file> <way> <user> <input>. It
# ends the hook when its time is over, and when our program was killed and can do it no more.
program=$1 hook=$2 left=$3 late=$4 way=$5 hook_user=$6 input=$7
hurry=

while [ "$left" -gt 0 ]; do
    sleep 1
    left=$((left - 1))
    if ! kill -0 "$program" 2>/dev/null; then
        signal_group KILL "$hook"
        exit
    fi
done

echo late >"$late"
end_group "$hook"
