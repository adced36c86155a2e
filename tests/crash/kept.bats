#!/usr/bin/env bats
# What kill -9 of the supervisors must not lose: containers, log lines, exit codes.

load ../e2e/lib

ROUNDS=${CRASH_ROUNDS:-3}

kill_supervisor() { pgrep -f "^berth $1 $PROJECT\$" | xargs -r kill -9; }
is_supervised() { pgrep -f "^berth keeper $PROJECT\$" && pgrep -f "^berth zygote $PROJECT\$"; }

# A supervisor of this kind, and not one of those.
has_new() { lacks_word "$(pgrep -f "^berth $1 $PROJECT\$")" "$2"; }
lacks_word() { [ -n "$1" ] && ! grep -qwF "$1" <<<"$2"; }

# Every number from 0 up, each once.
assert_numbers()
{
    berth logs --no-log-prefix "$1" >"$WORLD/numbers"
    local n
    n=$(wc -l <"$WORLD/numbers")
    [ "$n" -gt "$2" ] || fail "only $n lines"
    seq 0 $((n - 1)) | diff - "$WORLD/numbers" | head -20 | grep . && return 1
    return 0
}

counter='i=0; while [ ! -e /tmp/stop ]; do echo $$i; i=$$((i + 1)); usleep 200; done; exit 0'

# A container that ends takes `touch` with it, which may not have ended itself yet.
stop_counting() { berth exec -T "$1" touch /tmp/stop || [ $? = 137 ]; }

count_through()
{
    local round victim old before
    compose <<END
services:
  count: {image: box, command: [sh, -c, "$counter"]}
  other: {image: box, command: [sh, -c, "$counter"]}
END
    up
    before="$(pid_of count) $(pid_of other)"
    for round in $(seq "$ROUNDS"); do
        victim=${1:-$([ $((round % 2)) = 0 ] && echo keeper || echo zygote)}
        old=$(pgrep -f "^berth $victim $PROJECT\$")
        kill_supervisor "$victim"
        wait_until has_new "$victim" "$old"
    done
    equal "$(pid_of count) $(pid_of other)" "$before"
    stop_counting count
    stop_counting other
    wait_until state_is count exited
    wait_until state_is other exited
    equal "$(info count .ExitCode)" 0
    assert_numbers count 50
    assert_numbers other 50
}

@test "no log line is lost or doubled when the keeper is killed" { count_through keeper; }
@test "no log line is lost or doubled when the zygote is killed" { count_through zygote; }
@test "nor when it's one after the other" { count_through; }

# The container ends at the moment of the kill: its code is kept.
ends_when_killed()
{
    local victim=$1 round
    mkdir -p gate
    compose <<'END'
services:
  web: {image: box, command: [sh, -c, 'while [ ! -e /gate/go ]; do usleep 1000; done; echo last words; exit 7'], volumes: ["./gate:/gate"]}
  stays: {image: box, command: sleep infinity}
END
    for round in $(seq "$ROUNDS"); do
        rm -f gate/go
        up
        wait_until state_is web running
        if [ $((round % 2)) = 0 ]; then
            touch gate/go
            kill_supervisor "$victim"
        else
            kill_supervisor "$victim"
            touch gate/go
        fi
        wait_until state_is web exited
        equal "$(info web .ExitCode)" 7
        equal "$(berth logs --no-log-prefix web | tail -1)" 'last words'
        state_is stays running
    done
}

@test "exit codes are kept when the keeper is killed" { ends_when_killed keeper; }
@test "exit codes are kept when the zygote is killed" { ends_when_killed zygote; }

@test "policies, health, names, ports and exec go on under the successor" {
    compose <<'END'
services:
  web:
    image: box
    command: nc -ll -p 80 -e echo hello
    ports: ["8094:80"]
    restart: always
    healthcheck: {test: [CMD, test, -e, /etc/passwd], interval: 100ms, retries: 1}
  db: {image: box, command: sleep infinity}
END
    local victim old
    answers() { [ "$(in_host busybox nc -w 2 127.0.0.1 8094 </dev/null)" = hello ]; }
    restarts_are() { [ "$(info web .Restarts)" = "$1" ]; }
    for victim in keeper zygote; do
        quiet berth up --wait
        old=$(pgrep -f "^berth $victim $PROJECT\$")
        kill_supervisor "$victim"
        wait_until has_new "$victim" "$old"
        wait_until answers
        wait_until berth exec -T web ping -c 1 -W 1 db
        berth exec -T web mv /etc/passwd /etc/away
        wait_until health_is web unhealthy
        berth exec -T web mv /etc/away /etc/passwd
        wait_until health_is web healthy
        kill -9 "$(pid_of web)"
        wait_until restarts_are 1
        wait_until state_is web running
        wait_until answers
        quiet berth down
        assert_nothing_left "$PROJECT"
    done
}
