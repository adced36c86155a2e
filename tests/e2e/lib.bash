# What end-to-end and crash tests share. `load lib` (or `load ../e2e/lib`) at the top of a file.
#
# Every file has a world of its own below /var/tmp: state and runtime directories, a busybox image
# imported once, and a "host": a network namespace with a default route to a second one, "outside".
# So files don't see each other, nor what else runs on the machine, and what is left over afterwards
# can be asked for strictly. Every test has a project name and a directory of its own; its teardown
# takes the project down, asserts that nothing is left, and removes by force what is.

bats_require_minimum_version 1.5.0

TOP=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
BERTH=$(cd "$TOP" && realpath -m "${BUILD:-build/release}/berth")

# ---- a world per file ------------------------------------------------------------------------------

world_make()
{
    [ "$(id -u)" = 0 ] || skip_or_fail "needs root"
    [ -x "$BERTH" ] || { echo "no $BERTH: run make" >&2; return 1; }
    WORLD=$(mktemp -d /var/tmp/berth-test.XXXXXX)
    export WORLD BERTH_ROOT=$WORLD/state BERTH_RUN=$WORLD/run
    mkdir "$WORLD/projects"
    world_network
    image_import box
}

# A missing precondition skips a test by hand and fails it in CI.
skip_or_fail()
{
    [ -z "${STRICT:-}" ] || { echo "$1" >&2; return 1; }
    skip "$1"
}

# host 10.99.0.2 (default route) -- 10.99.0.1 outside, which also has 192.0.2.1, "the internet".
world_network()
{
    local net
    for net in host outside; do
        : >"$WORLD/$net.net"
        unshare --net="$WORLD/$net.net" ip link set lo up
    done
    in_host ip link add up0 type veth peer name down0
    in_host ip link set down0 netns "$WORLD/outside.net"
    in_host ip address add 10.99.0.2/24 dev up0
    in_host ip link set up0 up
    in_outside ip address add 10.99.0.1/24 dev down0
    in_outside ip address add 192.0.2.1/32 dev lo
    in_outside ip link set down0 up
    in_host ip route add default via 10.99.0.1
    # who this machine asks for names is outside, too
    for net in $(host_nameservers); do
        in_outside ip address add "$net/32" dev lo 2>/dev/null || true
    done
    background in_outside "$TOP/tests/e2e/nameserver" $INTERNET_ADDRESS $(host_nameservers) harbour.example=192.0.2.99
    wait_until in_host busybox nslookup -type=a harbour.example $INTERNET_ADDRESS
}
host_nameservers() { awk '$1 == "nameserver" && $2 !~ /^127|:/ { print $2 }' /etc/resolv.conf; }
HOST_ADDRESS=10.99.0.2
INTERNET_ADDRESS=192.0.2.1

in_host() { nsenter --net="$WORLD/host.net" -- "$@"; }
in_outside() { nsenter --net="$WORLD/outside.net" -- "$@"; }

world_destroy()
{
    local pid
    [ -n "${WORLD:-}" ] || return 0
    # whoever still lives in our namespaces or was started for our state
    for pid in $(processes_of_world); do
        kill -9 "$pid" 2>/dev/null || true
    done
    for pid in $(in_namespace outside); do
        kill -9 "$pid" 2>/dev/null || true
    done
    umount "$WORLD/host.net" "$WORLD/outside.net" || true
    rm -rf --one-file-system "$WORLD"
}

processes_of_world()
{
    local dir
    for dir in /proc/[0-9]*; do
        if { tr '\0' '\n' <"$dir/environ" | grep -qxF "BERTH_ROOT=$WORLD/state"; } 2>/dev/null &&
            ! is_ours "${dir#/proc/}"; then
            echo "${dir#/proc/}"
        fi
    done
    return 0
}

# Is it this shell, or one that waits for us?
is_ours()
{
    local pid=$BASHPID
    while [ "$pid" -gt 1 ]; do
        [ "$pid" != "$1" ] || return 0
        pid=$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status") || return 1
    done
    return 1
}

# image_import REFERENCE [OPTION…]: Debian's static busybox and nothing else.
image_import()
{
    local reference=$1
    shift
    image_tree "$WORLD/image"
    tar -C "$WORLD/image" --owner=0 --group=0 --numeric-owner -cf "$WORLD/image.tar" .
    berth image import "$@" "$WORLD/image.tar" "$reference" >/dev/null 2>"$WORLD/import.log" || {
        cat "$WORLD/import.log" >&2
        return 1
    }
}

image_tree()
{
    local tree=$1 busybox applet
    [ ! -d "$tree" ] || return 0
    busybox=$(command -v busybox)
    mkdir -p "$tree"/{bin,etc,root,tmp,srv,var,data}
    chmod 1777 "$tree/tmp"
    cp "$busybox" "$tree/bin/busybox"
    for applet in $("$busybox" --list); do
        [ "$applet" = busybox ] || ln -s busybox "$tree/bin/$applet"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\nsailor:x:1000:1000::/home/sailor:/bin/sh\n' >"$tree/etc/passwd"
    printf 'root:x:0:\nsailor:x:1000:\ncrew:x:2000:sailor\n' >"$tree/etc/group"
    echo 'from the image' >"$tree/data/seed"
}

# Start what a test talks to; it dies with the test.
background()
{
    "$@" </dev/null >/dev/null 2>&1 3>&- &
    disown
}

# Whoever tests started in our network namespaces. Supervisors are there too, until the project is down.
kill_visitors()
{
    { in_namespace host; in_namespace outside; } | grep -vxF "$(pgrep -f "^perl $TOP/tests/e2e/nameserver")" |
        xargs -r kill -9 2>/dev/null || true
}

in_namespace()
{
    find /proc -maxdepth 3 -path '/proc/[0-9]*/ns/net' \
        -lname "net:\[$(stat -Lc %i "$WORLD/$1.net")\]" 2>/dev/null | cut -d/ -f3
}

# ---- a project per test ----------------------------------------------------------------------------

project_make()
{
    PROJECT=t$BATS_SUITE_TEST_NUMBER-$$
    PROJECTS=("$PROJECT")
    DIR=$WORLD/projects/$PROJECT
    mkdir -p "$DIR"
    cd "$DIR" || return 1
}

# A further project in a directory of its own, taken down like the first.
project_add()
{
    PROJECTS+=("$1")
    mkdir -p "$WORLD/projects/$1"
}

# The project file from standard input, named as the test's project.
compose()
{
    { echo "name: $PROJECT"; cat; } >"$DIR/compose.yaml"
}

project_destroy()
{
    local project failed=0
    cd "$WORLD" || return 1
    for project in "${PROJECTS[@]}"; do
        berth -p "$project" down -v -t 0 >"$WORLD/down.log" 2>&1 || {
            failed=1
            echo "# down of $project failed:"
            cat "$WORLD/down.log"
        }
        berth network ls -q | grep "^${project}_" | xargs -r "${BERTH_COMMAND[@]}" network rm >/dev/null || true
        assert_nothing_left "$project" || failed=1
        force_remove "$project"
    done
    # before the visitors are killed: a sweeper is in that namespace, too
    assert_host_is_clean || failed=1
    kill_visitors
    in_host nft delete table inet berth 2>/dev/null || true
    rm -rf "$DIR"
    return $failed
}

# The usual: files that need something else define their own.
setup_file() { world_make; }
teardown_file() { world_destroy; }
setup() { project_make; }
teardown() { project_destroy; }

# ---- berth -----------------------------------------------------------------------------------------

BERTH_COMMAND=(nsenter "--net=${WORLD:-}/host.net" -- "$BERTH")

# No command here takes long: one that does hangs.
berth() { timeout --foreground -k 5 "${LIMIT:-30}" nsenter --net="$WORLD/host.net" -- "$BERTH" "$@"; }

# quiet CMD…: its output only when it fails.
quiet()
{
    local out code=0
    out=$("$@" 2>&1) || code=$?
    [ $code = 0 ] || echo "$* exits with $code: $out"
    return $code
}

up() { quiet berth up -d "$@"; }

# Start berth in the background, its output in files; sets PID. SIGINT reaches it as from a terminal.
start_berth()
{
    local out=$1
    shift
    # a shell without job control has background commands ignore SIGINT; perl puts the default back
    perl -e '$SIG{INT} = "DEFAULT"; exec @ARGV or die' \
        nsenter --net="$WORLD/host.net" -- "$BERTH" "$@" >"$out" 2>"$out.err" </dev/null 3>&- &
    PID=$!
}

# info SERVICE FILTER: from the service's line of `ps --format json`.
info() { berth ps -a --format json | jq -ers --arg service "$1" ".[] | select(.Service == \$service) | $2"; }
info_of() { berth -p "$1" ps -a --format json | jq -ers --arg service "$2" ".[] | select(.Service == \$service) | $3"; }
pid_of() { info "$1" .Pid; }
id_of() { info "$1" .ID; }
address_of() { info "$1" ".Networks[\"${PROJECT}_${2:-default}\"]"; }
state_is() { [ "$(info "$1" .State)" = "$2" ]; }
health_is() { [ "$(info "$1" .Health)" = "$2" ]; }
logged() { berth logs --no-log-prefix "$1" 2>&1 | grep -qE -- "$2"; }

ended() { ! kill -0 "$1" 2>/dev/null; }

# end_of PID: its exit code in CODE, once it has ended.
end_of()
{
    CODE=0
    wait_until ended "$1"
    wait "$1" || CODE=$?
}

# What a container has in its record that `ps` doesn't show.
record_of() { cat "$BERTH_ROOT/containers/$(id_of "$1")/container.json"; }

# ---- asserting -------------------------------------------------------------------------------------

fail()
{
    echo "$*"
    return 1
}

# equal GOT WANTED
equal()
{
    [ "$1" = "$2" ] || fail "got    '$1'
wanted '$2'"
}

# matches TEXT REGEX
matches()
{
    grep -qE -- "$2" <<<"$1" || fail "got        '$1'
should have '$2'"
}

lacks()
{
    ! grep -qE -- "$2" <<<"$1" || fail "got             '$1'
shouldn't have '$2'"
}

# wait_until CMD…: ask until it is so. The pause is no synchronisation, only politeness.
wait_until()
{
    local deadline=$((SECONDS + ${PATIENCE:-5}))
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $deadline ]; then
            echo "waited ${PATIENCE:-5} s in vain for: $*"
            dump_state
            return 1
        fi
        sleep 0.02
    done
}

dump_state()
{
    local project
    for project in "${PROJECTS[@]}"; do
        echo "--- $project"
        berth -p "$project" ps -a --format json 2>&1 | jq -c '{Name, State, Status, Health, ExitCode, Pid, Restarts}' || true
        berth -p "$project" logs -t --tail 2 2>&1 || true
        tail -n 20 "$BERTH_RUN/projects/$project"/{keeper.log,journal} 2>/dev/null || true
    done
}

# ---- what is left ----------------------------------------------------------------------------------

supervisors_of() { pgrep -f "^berth (keeper|zygote) $1\$"; }

# Nothing in the kernel or on disk names this project.
assert_nothing_left()
{
    local project=$1 left
    # the supervisors end by themselves when nobody needs them; the cgroups go with them
    PATIENCE=5 wait_until nothing_left "$project" && return 0
    left=$(leftovers_of "$project")
    ls -lR "$BERTH_RUN/projects/$project"; fail "left of project $project: $left"
}

nothing_left() { [ -z "$(leftovers_of "$1")" ]; }

leftovers_of()
{
    local project=$1
    supervisors_of "$project" | sed 's/^/process /'
    find /sys/fs/cgroup -path "*/berth/$project*" -prune -o -maxdepth 5 -type d -path "*/berth/$project" -print 2>/dev/null
    find /sys/fs/cgroup -maxdepth 3 -type d -path "*/berth/$project" -print 2>/dev/null
    ls -d "$BERTH_RUN/projects/$project" "$BERTH_ROOT/projects/$project" 2>/dev/null
    ls "$BERTH_ROOT/networks" 2>/dev/null | grep "^${project}_"
    ls -d "$BERTH_ROOT"/names/"$project"-* 2>/dev/null
    return 0
}

# When no project is up: no mounts of ours, no interfaces, no table, no records, no temporary files.
# What takes the kernel or the disk long goes behind the back of `down`.
assert_host_is_clean()
{
    PATIENCE=5 wait_until host_is_clean >/dev/null || fail "left on the host: $(left_on_host)"
}

host_is_clean() { [ -z "$(left_on_host)" ]; }

left_on_host()
{
    grep -F "$WORLD/" /proc/self/mountinfo | grep -v "$WORLD/\(host\|outside\)\.net "
    in_host ip -o link | grep -oE ' (bt|bv)-[0-9a-f]+'
    in_host nft list tables | grep berth
    ls -A "$BERTH_ROOT/containers" 2>/dev/null
    ls -A "$BERTH_ROOT/volumes" 2>/dev/null | grep -v '^\.'
    find "$BERTH_ROOT/staging" "$BERTH_ROOT/partial" -mindepth 1 2>/dev/null
    return 0
}

# By force, so that the next test starts clean. Kills what is in the project's cgroups, then what
# supervises them; removes interfaces and groups.
force_remove()
{
    local project=$1 group link
    for group in /sys/fs/cgroup/berth/"$project" /sys/fs/cgroup/*/berth/"$project"; do
        [ ! -e "$group/cgroup.kill" ] || echo 1 >"$group/cgroup.kill" 2>/dev/null || true
    done
    supervisors_of "$project" | xargs -r kill -9 2>/dev/null || true
    for group in /sys/fs/cgroup/berth/"$project" /sys/fs/cgroup/*/berth/"$project"; do
        [ -d "$group" ] || continue
        PATIENCE=3 wait_until remove_group "$group" || true
    done
    [ ${#PROJECTS[@]} -gt 1 ] || for link in $(in_host ip -o link | grep -oE '(bt|bv)-[0-9a-f]+'); do
        in_host ip link del "$link" 2>/dev/null || true
    done
    rm -rf --one-file-system "$BERTH_RUN/projects/$project" "$BERTH_ROOT/projects/$project"
    return 0
}

remove_group()
{
    find "$1" -depth -type d -exec rmdir {} + 2>/dev/null
    [ ! -d "$1" ]
}
