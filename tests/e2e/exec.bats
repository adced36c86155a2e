#!/usr/bin/env bats
# exec.

load lib

setup()
{
    project_make
    compose <<'END'
services:
  web: {image: box, command: sleep infinity, environment: {MINE: service}, working_dir: /srv}
  done: {image: box, command: "true"}
END
    up
}

@test "exec passes the exit code on: 0, N, a signal, 126, 127" {
    berth exec -T web true
    run berth exec -T web sh -c 'exit 42'
    equal "$status" 42
    run berth exec -T web sh -c 'kill -9 $$'
    equal "$status" 137
    run berth exec -T web /etc/passwd
    equal "$status" 126
    run -127 berth exec -T web nonesuch
    equal "$status" 127
    matches "$output" nonesuch
}

@test "exec has the container's surroundings; -e, -u, -w change them" {
    equal "$(berth exec -T web sh -c 'echo $MINE $PWD $HOME')" 'service /srv /root'
    equal "$(PASSED=on berth exec -T -e MINE=own -e PASSED web sh -c 'echo $MINE $PASSED')" 'own on'
    equal "$(berth exec -T -w /tmp web pwd)" /tmp
    equal "$(berth exec -T -u sailor web sh -c 'id -un; echo $HOME')" $'sailor\n/home/sailor'
    equal "$(berth exec -T -u 7:8 web sh -c 'id -u; id -g')" $'7\n8'
    run berth exec -T -u nemo web true
    [ "$status" != 0 ]
    matches "$output" nemo
}

@test "exec -T pipes standard input through, bytes and end" {
    equal "$(printf 'a\0b\n' | berth exec -T web od -An -c | tr -s ' ')" ' a \0 b \n'
    head -c 3000000 /dev/urandom >data
    equal "$(berth exec -T web md5sum <data)" "$(md5sum <data)"
    berth exec -T web cat <data | cmp - data
    equal "$(berth exec -T web sh -c 'echo out; echo err >&2' 2>/dev/null)" out
}

@test "exec with a terminal" {
    run script -qec "stty rows 33 cols 99; $(printf '%q ' "${BERTH_COMMAND[@]}" exec web sh -c 'test -t 0 && stty size && exit 9')" /dev/null
    equal "$status" 9
    matches "$output" '33 99'
    run berth exec -t web true </dev/null
    equal "$status" 2
}

@test "exec is in the container's cgroup, capabilities and filter" {
    equal "$(berth exec -T web awk '/^CapEff/ { print $2 }' /proc/self/status)" 00000000a80425fb
    equal "$(berth exec -T web awk '/^Seccomp:/ { print $2 }' /proc/self/status)" 2
    equal "$(berth exec -T web cat /proc/self/cgroup)" "$(berth exec -T web cat /proc/1/cgroup)"
    equal "$(berth exec -T --privileged web awk '/^CapEff/ { print $2 }' /proc/self/status)" \
        "$(awk '/^CapBnd/ { print $2 }' /proc/self/status)"
}

@test "exec in what doesn't run, and in what doesn't exist" {
    wait_until state_is done exited
    run berth exec -T done true
    equal "$status" 1
    matches "$output" 'done.*not running'
    run berth exec -T nobody true
    equal "$status" 1
    matches "$output" 'no such service: nobody'
    run berth exec -T web
    equal "$status" 2
}

@test "many at once" {
    local i pids=()
    for i in $(seq 20); do
        berth exec -T web sh -c "echo $i; exit $i" >"out.$i" &
        pids+=($!)
    done
    for i in $(seq 20); do
        local code=0
        wait "${pids[i - 1]}" || code=$?
        equal "$code" "$i"
        equal "$(cat "out.$i")" "$i"
    done
}

@test "a killed exec client doesn't take the container along" {
    start_berth out exec -T web sh -c 'echo begun; sleep 88888'
    wait_until grep -q begun out
    kill -9 "$PID"
    state_is web running
    berth exec -T web true
}

@test "a closed standard descriptor is /dev/null in the container, not a directory of the host" {
    equal "$(berth exec -T web readlink /proc/self/fd/0 <&-)" /dev/null
    equal "$(berth exec -T web readlink /proc/self/fd/2 2>&-)" /dev/null
}

@test "Ctrl-C ends exec also before the command has begun" {
    local zygote
    zygote=$(pgrep -fx "berth zygote $(basename "$PWD")")
    kill -STOP "$zygote"
    start_berth out exec -T web true
    wait_until awk '$1 == "SigBlk:" { exit $2 ~ /^0*$/ }' "/proc/$PID/status"
    kill -INT "$PID"
    wait_until ended "$PID" || { kill -CONT "$zygote"; false; }
    kill -CONT "$zygote"
    berth exec -T web true
}
