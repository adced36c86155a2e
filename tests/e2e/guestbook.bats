#!/usr/bin/env bats
# The example, as `make demo` runs it: real software, built from Dockerfiles. Needs Debian's mirror.

load lib

# Not in a world of its own: on this machine's network, as a user has it.
setup_file()
{
    WORLD=$(mktemp -d /var/tmp/berth-test.XXXXXX)
    export WORLD BERTH_ROOT=$WORLD/state BERTH_RUN=$WORLD/run
    export GUESTBOOK_PORT=18080
}
teardown_file()
{
    (cd "$TOP/examples/guestbook" && "$BERTH" down -v -t 0) >/dev/null 2>&1 || true
    rm -rf --one-file-system "$WORLD"
}
setup() { cd "$TOP" || return 1; }
teardown() { :; }

reachable() { curl -fsS -m 10 -o /dev/null "${DEBIAN_MIRROR:-http://deb.debian.org/debian}/dists/bookworm/Release"; }

@test "the guestbook comes up, answers, goes down, leaves nothing" {
    reachable || skip_or_fail "needs Debian's mirror"
    run examples/guestbook/demo
    echo "$output"
    equal "$status" 0
    matches "$output" 'Container guestbook-front-1: Started'
    matches "$output" 'Container guestbook-db-1: Healthy'
    matches "$output" 'Hello from make demo'
    matches "$output" 'guestbook-front-1 .*0.0.0.0:18080->80/tcp'
    matches "$output" 'nothing: no mounts, links, rules, cgroups, processes'
    matches "$output" 'guestbook_entries'
}

@test "the second run has the images and the build cache" {
    reachable || skip_or_fail "needs Debian's mirror"
    LIMIT=60 run timeout 60 examples/guestbook/demo
    echo "$output"
    equal "$status" 0
    matches "$output" 'debian:bookworm-slim: already here'
    lacks "$output" 'apt-get|Setting up|Unpacking'
    matches "$output" 'nothing: no mounts, links, rules, cgroups, processes'
}
