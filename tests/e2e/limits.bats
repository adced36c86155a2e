#!/usr/bin/env bats
# What a container may do and use.

load lib

caps() { berth exec -T "$1" awk '/^CapEff/ { print $2 }' /proc/1/status; }

@test "capabilities: Docker's fourteen, fewer, more, all" {
    compose <<'END'
services:
  usual: {image: box, command: sleep infinity}
  none: {image: box, command: sleep infinity, cap_drop: [ALL]}
  one: {image: box, command: sleep infinity, cap_drop: [ALL], cap_add: [NET_BIND_SERVICE]}
  more: {image: box, command: sleep infinity, cap_add: [SYS_TIME]}
  every: {image: box, command: sleep infinity, privileged: true}
  sailor: {image: box, command: sleep infinity, user: sailor}
END
    up
    equal "$(caps usual)" 00000000a80425fb
    equal "$(caps none)" 0000000000000000
    equal "$(caps one)" 0000000000000400
    equal "$(caps more)" 00000000aa0425fb
    equal "$(caps every)" "$(awk '/^CapBnd/ { print $2 }' /proc/1/status)"
    equal "$(caps sailor)" 0000000000000000
}

@test "the defaults protect: seccomp, masked and read-only paths, private namespaces" {
    compose <<'END'
services:
  web: {image: box, command: sleep infinity}
END
    up
    equal "$(berth exec -T web awk '/^Seccomp:/ { print $2 }' /proc/1/status)" 2
    equal "$(wc -c </proc/keys | grep -c '^0$')" 0 # else the next line says nothing
    equal "$(berth exec -T web wc -c /proc/keys)" '0 /proc/keys'
    run berth exec -T web sh -c 'echo 1 >/proc/sys/vm/swappiness'
    [ "$status" != 0 ]
    run berth exec -T web mount -t tmpfs none /tmp
    [ "$status" != 0 ]
    run berth exec -T web unshare -U true
    [ "$status" != 0 ]
    equal "$(berth exec -T web sh -c 'echo /proc/[0-9]*' | wc -w)" 2
    equal "$(berth exec -T web ls /dev | tr '\n' ' ')" 'core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero '
    run berth exec -T web sh -c 'mknod /tmp/vda b 254 0 && head -c 1 /tmp/vda'
    [ "$status" != 0 ]
    local kind
    for kind in ipc mnt net pid uts cgroup; do
        [ "$(readlink "/proc/$(pid_of web)/ns/$kind")" != "$(readlink "/proc/self/ns/$kind")" ]
    done
}

@test "mem_limit: who goes over it is killed, and ps says why" {
    compose <<'END'
services:
  glutton:
    image: box
    command: ["sh", "-c", "x=0123456789abcdef; while :; do x=$$x$$x; done"]
    mem_limit: 16m
END
    up
    wait_until state_is glutton exited
    equal "$(info glutton .OOMKilled)" true
    equal "$(info glutton .ExitCode)" 137
    matches "$(info glutton .Status)" 'out of memory'
}

# The limit as the kernel has it, on either version of cgroups.
limit_of()
{
    local file=$1
    cat /sys/fs/cgroup/{,unified/,memory/,pids/,cpu/}berth/"$PROJECT/$PROJECT-web-1/$file" 2>/dev/null | head -1
}

@test "mem_limit, cpus and pids_limit are the kernel's" {
    compose <<'END'
services:
  web:
    image: box
    command: sleep infinity
    mem_limit: 64m
    cpus: 0.5
    pids_limit: 20
END
    up
    equal "$(limit_of memory.max || limit_of memory.limit_in_bytes)$(limit_of memory.limit_in_bytes)" 67108864
    equal "$(limit_of pids.max)" 20
    matches "$(limit_of cpu.max) $(limit_of cpu.cfs_quota_us)" '(^| )50000( |$)'
    run berth exec -T web sh -c 'for i in $(seq 40); do sleep 60 >/dev/null 2>&1 & done'
    matches "$output" "can't fork"
}

@test "ulimits and sysctls" {
    compose <<'END'
services:
  web:
    image: box
    command: sleep infinity
    ulimits: {nofile: {soft: 100, hard: 200}, nproc: 77}
    sysctls: {net.ipv4.ip_unprivileged_port_start: 0, kernel.msgmax: 9000}
END
    up
    equal "$(awk '/^Max open files/ { print $4, $5 }' "/proc/$(pid_of web)/limits")" '100 200'
    equal "$(awk '/^Max processes/ { print $3, $4 }' "/proc/$(pid_of web)/limits")" '77 77'
    equal "$(berth exec -T web cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax)" $'0\n9000'
}

@test "a sysctl of the whole machine is refused" {
    compose <<'END'
services:
  web: {image: box, command: sleep infinity, sysctls: {vm.swappiness: 1}}
END
    run berth up -d
    [ "$status" != 0 ]
    matches "$output" 'vm.swappiness'
    lacks "$(cat /proc/sys/vm/swappiness)" '^1$'
}

@test "privileged reaches devices and writes where others don't" {
    compose <<'END'
services:
  web: {image: box, command: sleep infinity, privileged: true}
END
    up
    berth exec -T web mount -t tmpfs none /tmp
    equal "$(berth exec -T web awk '/^Seccomp:/ { print $2 }' /proc/1/status)" 0
    berth exec -T web mknod /tmp/null c 1 3
}

@test "security_opt: no-new-privileges holds, the last one counts" {
    compose <<'END'
services:
  usual: {image: box, command: sleep infinity}
  held: {image: box, command: sleep infinity, security_opt: [no-new-privileges]}
  free: {image: box, command: sleep infinity, security_opt: ["no-new-privileges:true", "no-new-privileges=false"]}
END
    up
    equal "$(berth exec -T usual awk '/^NoNewPrivs/ { print $2 }' /proc/1/status)" 0
    equal "$(berth exec -T held awk '/^NoNewPrivs/ { print $2 }' /proc/1/status)" 1
    equal "$(berth exec -T free awk '/^NoNewPrivs/ { print $2 }' /proc/1/status)" 0
}

@test "network_mode: none leaves only loopback" {
    compose <<'END'
services:
  web: {image: box, command: sleep infinity, network_mode: none}
END
    up
    equal "$(berth exec -T web ls /sys/class/net)" lo
}
