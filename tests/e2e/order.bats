#!/usr/bin/env bats
# depends_on with its conditions, health checks, --wait.

load lib

ns() { date -d "$(info "$1" .StartedAt)" +%s%N; }

# Lines of time of two services' logs: the first of A is before the first of B.
logged_before()
{
    local a b
    a=$(berth logs -t --no-log-prefix "$1" | head -1 | cut -d' ' -f1)
    b=$(berth logs -t --no-log-prefix "$2" | head -1 | cut -d' ' -f1)
    [[ -n $a && -n $b && $a < $b ]] || fail "$1: $a, $2: $b"
}

@test "service_healthy: the dependent starts after the check passed, not after its interval" {
    compose <<'END'
services:
  db:
    image: box
    command: ["sh", "-c", "sleep 0.3; touch /ready; echo ready; sleep infinity"]
    healthcheck: {test: ["CMD", "test", "-e", "/ready"], interval: 30s}
  web:
    image: box
    command: ["sh", "-c", "echo started; sleep infinity"]
    depends_on: {db: {condition: service_healthy}}
END
    LIMIT=5 up
    wait_until logged web started
    logged_before db web
    equal "$(info db .Health)" healthy
    matches "$(info db .Status)" '\(healthy\)$'
}

@test "service_completed_successfully: runs to its end first, and its failure stops the rest" {
    compose <<'END'
services:
  migrate: {image: box, command: ["sh", "-c", "sleep 0.2; echo migrated; exit ${CODE:-0}"]}
  web:
    image: box
    command: ["sh", "-c", "echo started; sleep infinity"]
    depends_on: {migrate: {condition: service_completed_successfully}}
END
    LIMIT=5 up
    wait_until logged web started
    logged_before migrate web
    equal "$(info migrate .ExitCode)" 0
    quiet berth down

    CODE=7 run berth up -d
    equal "$status" 1
    matches "$output" 'migrate'
    matches "$output" '7'
    [ "$(info web .State 2>/dev/null || echo absent)" != running ]
}

@test "service_started: in order, and stopped in reverse order" {
    compose <<'END'
services:
  c: {image: box, command: &it ["sh", "-c", "trap 'echo stopping; exit' TERM; echo started; while :; do sleep 0.05; done"], depends_on: [b]}
  b: {image: box, command: *it, depends_on: {a: {condition: service_started}}}
  a: {image: box, command: *it}
END
    up
    wait_until logged a started
    wait_until logged b started
    wait_until logged c started
    [ "$(ns a)" -le "$(ns b)" ]
    [ "$(ns b)" -le "$(ns c)" ]
    quiet berth stop
    stopped_at() { berth logs -t --no-log-prefix "$1" | awk '/stopping/ { print $1 }'; }
    [[ "$(stopped_at c)" < "$(stopped_at b)" && "$(stopped_at b)" < "$(stopped_at a)" ]]
}

@test "an unhealthy dependency fails the up and says what the check printed" {
    compose <<'END'
services:
  db:
    image: box
    command: sleep infinity
    healthcheck: {test: "echo the tide is out; exit 1", interval: 100ms, retries: 2}
  web:
    image: box
    command: sleep infinity
    depends_on: {db: {condition: service_healthy}}
END
    LIMIT=10 run berth up -d
    equal "$status" 1
    matches "$output" 'db'
    matches "$output" 'unhealthy'
    matches "$output" 'the tide is out'
    equal "$(info db .Health)" unhealthy
}

@test "--wait returns when everything is healthy or running" {
    compose <<'END'
services:
  db:
    image: box
    command: ["sh", "-c", "sleep 0.2; touch /ready; sleep infinity"]
    healthcheck: {test: ["CMD-SHELL", "test -e /ready"], interval: 30s}
  web: {image: box, command: sleep infinity}
END
    LIMIT=5 quiet berth up --wait
    health_is db healthy
    state_is web running
}

@test "--wait fails when a service ends with an error" {
    compose <<'END'
services:
  web:
    image: box
    command: ["sh", "-c", "sleep 0.1; exit 4"]
    healthcheck: {test: ["CMD", "false"], interval: 30s}
END
    LIMIT=10 run berth up --wait
    equal "$status" 1
    matches "$output" 'web'
}

@test "health changes are seen, and failures counted only after the start period" {
    compose <<'END'
services:
  db:
    image: box
    command: ["sh", "-c", "touch /ready; sleep infinity"]
    healthcheck: {test: ["CMD", "test", "-e", "/ready"], interval: 50ms, retries: 2, timeout: 1s}
END
    quiet berth up --wait
    berth exec -T db rm /ready
    wait_until health_is db unhealthy
    state_is db running
    berth exec -T db touch /ready
    wait_until health_is db healthy
}

@test "a check that hangs is killed at its timeout" {
    compose <<'END'
services:
  db:
    image: box
    command: sleep infinity
    healthcheck: {test: ["CMD", "sleep", "77777"], interval: 50ms, timeout: 100ms, retries: 1}
END
    up
    wait_until health_is db unhealthy
    quiet berth stop -t 0
    equal "$(pgrep -fx 'sleep 77777' || true)" ''
}

@test "the image's health check holds, and the file can turn it off" {
    image_import checked -c 'HEALTHCHECK --interval=30s CMD true' -c 'CMD ["sleep", "infinity"]'
    compose <<'END'
services:
  on: {image: checked}
  off: {image: checked, healthcheck: {disable: true}}
END
    up
    wait_until health_is on healthy
    equal "$(info off '.Health')" ''
    quiet berth down
    quiet berth image rm checked
}

@test "a circle of dependencies is refused by name, with its lines" {
    compose <<'END'
services:
  a: {image: box, depends_on: [b]}
  b: {image: box, depends_on: [c]}
  c: {image: box, depends_on: [a]}
END
    run berth up -d
    equal "$status" 2
    matches "$output" 'compose.yaml:[0-9]+:[0-9]+'
    matches "$output" 'a.*b.*c'
}

@test "up again while a dependency is unhealthy says so again" {
    compose <<'END'
services:
  db:
    image: box
    command: ["sleep", "infinity"]
    healthcheck: {test: ["CMD", "false"], interval: 100ms, retries: 2}
  web:
    image: box
    command: ["sleep", "infinity"]
    depends_on: {db: {condition: service_healthy}}
END
    for _ in 1 2; do
        run berth up -d
        equal "$status" 1
        matches "$output" 'tour-db-1|db-1" is unhealthy'
    done
}
