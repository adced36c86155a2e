#!/usr/bin/env bats
# logs.

load lib

@test "--tail, -t, --since, --until, prefixes, several services" {
    compose <<'END'
services:
  web: {image: box, command: ["sh", "-c", "seq 1 10; sleep infinity"]}
  longname: {image: box, command: ["sh", "-c", "echo here; sleep infinity"]}
END
    up
    wait_until logged web '^10$'
    wait_until logged longname here
    equal "$(berth logs --no-log-prefix --tail 3 web)" $'8\n9\n10'
    equal "$(berth logs --tail 1)" $'longname-1 | here\nweb-1      | 10' ||
        equal "$(berth logs --tail 1)" $'web-1      | 10\nlongname-1 | here'
    matches "$(berth logs -t --no-log-prefix --tail 1 web)" '^20[0-9-]{8}T[0-9:.]+Z 10$'
    equal "$(berth logs --no-log-prefix --since 1h --tail 1 web)" 10
    equal "$(berth logs --since 0s web)" ''
    equal "$(berth logs --until 1h web)" ''
    equal "$(berth logs --tail 0 web)" ''
    run berth logs --tail some
    equal "$status" 2
    run berth logs nobody
    [ "$status" != 0 ]
    matches "$output" nobody
}

@test "-f follows until the last container ends" {
    compose <<'END'
services:
  web: {image: box, command: ["sh", "-c", "trap 'echo last; exit' TERM; echo first; while :; do sleep 0.05; done"]}
END
    up
    start_berth out logs -f --no-log-prefix
    wait_until grep -q first out
    quiet berth stop
    wait_until ended "$PID"
    equal "$(cat out)" $'first\nlast'
}

@test "-f ends with SIGINT" {
    compose <<'END'
services:
  web: {image: box, command: ["sh", "-c", "echo first; sleep infinity"]}
END
    up
    start_berth out logs -f
    wait_until grep -q first out
    kill -INT "$PID"
    wait_until ended "$PID"
    state_is web running
}

@test "everything printed is there: many lines, long lines, no newline at the end, any bytes" {
    compose <<'END'
services:
  many: {image: box, command: ["seq", "1", "30000"]}
  long: {image: box, command: ["sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; echo; echo after"]}
  open: {image: box, command: ["printf", "no newline"]}
  bytes: {image: box, command: ["printf", "\\303\\244 \\377 tab\\t\\n"]}
END
    up
    wait_until state_is many exited
    wait_until state_is long exited
    equal "$(berth logs --no-log-prefix many | md5sum)" "$(seq 1 30000 | md5sum)"
    equal "$(berth logs --no-log-prefix long | head -1 | wc -c)" 100001
    equal "$(berth logs --no-log-prefix long | tail -1)" after
    wait_until state_is open exited
    equal "$(berth logs --no-log-prefix open)" 'no newline'
    wait_until state_is bytes exited
    equal "$(berth logs --no-log-prefix bytes | od -An -c | tr -s ' ')" ' 303 244 377 t a b \t \n'
}

@test "logs outlive a restart, and a stopped container still has them" {
    compose <<'END'
services:
  web: {image: box, command: ["sh", "-c", "echo run; sleep infinity"]}
END
    up
    wait_until logged web run
    quiet berth restart
    twice() { [ "$(berth logs --no-log-prefix web | grep -c run)" = 2 ]; }
    wait_until twice
    quiet berth stop
    twice
}

@test "who floods the log keeps nobody waiting: exec, logs -f, down" {
    compose <<'END'
services:
  flood: {image: box, command: ["sh", "-c", "cat /dev/zero | tr '\\0' '\\n'"]}
  web: {image: box, command: ["sleep", "infinity"]}
END
    up
    quiet in_host timeout 10 "$BERTH" exec -T web true
    start_berth out logs -f flood
    wait_until test -s out
    kill -INT "$PID"
    end_of "$PID"
    equal "$CODE" 0
    quiet in_host timeout 20 "$BERTH" down -t 1
}

@test "a container that makes its pipe one of packets has each line logged once" {
    printf '%s\n' '#include <fcntl.h>' '#include <stdio.h>' '#include <unistd.h>' \
        'int main(void) { fcntl(1, F_SETFL, O_DIRECT); for (int i = 0; i < 100; i++) dprintf(1, "packet %d\n", i); pause(); }' >packets.c
    gcc -D_GNU_SOURCE -static -o packets packets.c
    compose <<'END'
services:
  web: {image: box, command: ["/packets"], volumes: ["./packets:/packets:ro"]}
END
    up
    wait_until logged web 'packet 99'
    equal "$(berth logs --no-log-prefix web)" "$(seq -f 'packet %.0f' 0 99)"
}

@test "a health check that floods its output keeps nobody waiting" {
    compose <<'END'
services:
  web:
    image: box
    command: ["sleep", "infinity"]
    healthcheck: {test: ["CMD-SHELL", "dd if=/dev/zero bs=1M & dd if=/dev/zero bs=1M"], timeout: 60s, interval: 1s}
END
    up
    quiet in_host timeout 10 "$BERTH" exec -T web true
    quiet in_host timeout 20 "$BERTH" down -t 1
}

@test "without -f it ends while a container floods its log" {
    compose <<'END'
services:
  flood: {image: box, command: ["yes", "a line of a container that never stops printing"]}
END
    up
    wait_until logged flood never
    start_berth out logs --no-log-prefix
    wait_until ended "$PID"
    [ -s out ]
    [ "$(sort -u out)" = "a line of a container that never stops printing" ]
    quiet berth kill
}
