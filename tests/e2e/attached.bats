#!/usr/bin/env bats
# up in the foreground: logs, Ctrl-C, exit codes.

load lib

two_services()
{
    compose <<'END'
services:
  web: {image: box, command: ["sh", "-c", "trap 'echo goodbye; exit 0' TERM; echo hello; while :; do sleep 0.05; done"], depends_on: [db]}
  db: {image: box, command: ["sh", "-c", "trap 'echo closing; exit 0' TERM; echo open; while :; do sleep 0.05; done"]}
END
}

@test "logs stream with prefixes; the first Ctrl-C stops gracefully" {
    two_services
    start_berth out up
    wait_until grep -q '^web-1 | hello$' out
    wait_until grep -q '^db-1  | open$' out
    kill -INT "$PID"
    end_of "$PID"
    equal "$CODE" 130
    grep -q '^web-1 | goodbye$' out
    grep -q '^db-1  | closing$' out
    grep -q 'Gracefully stopping' out.err
    state_is web exited
    state_is db exited
    equal "$(info web .ExitCode)" 0
}

@test "the second Ctrl-C kills" {
    compose <<'END'
services:
  web: {image: box, command: ["sh", "-c", "trap 'echo not yet' TERM; echo hello; while :; do sleep 0.05; done"], stop_grace_period: 100s}
END
    start_berth out up
    wait_until grep -q hello out
    kill -INT "$PID"
    wait_until logged web 'not yet'
    kill -INT "$PID"
    end_of "$PID"
    [ "$CODE" != 0 ]
    state_is web exited
    equal "$(info web .ExitCode)" 137
}

@test "up ends when all containers have ended" {
    compose <<'END'
services:
  a: {image: box, command: ["sh", "-c", "echo one; exit 0"]}
  b: {image: box, command: ["sh", "-c", "sleep 0.1; echo two; exit 3"]}
END
    LIMIT=10 run berth up
    equal "$status" 0
    matches "$output" '^a-1 \| one$'
    matches "$output" '^b-1 \| two$'
    matches "$output" 'b-1 exited with code 3'
}

@test "attach: false hides a service's logs; up waits for its end all the same" {
    compose <<'END'
services:
  a: {image: box, command: ["sh", "-c", "echo one"]}
  b: {image: box, command: ["sh", "-c", "sleep 0.1; echo two; exit 3"], attach: false}
END
    LIMIT=10 run berth up
    equal "$status" 0
    matches "$output" '^a-1 \| one$'
    lacks "$output" '[|] two'
    matches "$output" 'b-1 exited with code 3'
    matches "$(berth logs)" '[|] two'
}

@test "--abort-on-container-exit stops the rest and passes the code on" {
    compose <<'END'
services:
  test: {image: box, command: ["sh", "-c", "sleep 0.1; echo tested; exit 7"]}
  db: {image: box, command: sleep infinity}
END
    LIMIT=10 run berth up --abort-on-container-exit
    equal "$status" 7
    matches "$output" 'test-1 \| tested'
    state_is db exited
}

@test "--exit-code-from takes that service's code" {
    compose <<'END'
services:
  test: {image: box, command: ["sh", "-c", "sleep 0.2; exit 8"]}
  db: {image: box, command: ["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.05; done"]}
END
    LIMIT=10 run berth up --exit-code-from test
    equal "$status" 8
    LIMIT=10 run berth up --exit-code-from db
    equal "$status" 5
    run berth up --exit-code-from nobody
    equal "$status" 2
}

@test "a service that restarts goes on being shown" {
    compose <<'END'
services:
  web: {image: box, command: ["sh", "-c", "echo again; exit 1"], restart: "on-failure:2"}
END
    LIMIT=15 run berth up
    equal "$(grep -c '| again' <<<"$output")" 3
}

@test "Ctrl-C while it comes up: nothing half-made, the next up finishes" {
    compose <<'END'
services:
  db:
    image: box
    command: sleep infinity
    healthcheck: {test: ["CMD", "test", "-e", "/ready"], interval: 30s, start_period: 60s}
  web: {image: box, command: sleep infinity, depends_on: {db: {condition: service_healthy}}}
END
    start_berth out up
    wait_until state_is db running
    kill -INT "$PID"
    end_of "$PID"
    equal "$CODE" 130
    [ "$(info web .State)" != running ]
    berth exec -T db touch /ready
    up
    state_is web running
}

@test "a killed attached up leaves the containers running" {
    two_services
    start_berth out up
    wait_until grep -q hello out
    kill -9 "$PID"
    wait_until ended "$PID"
    state_is web running
    state_is db running
    run berth plan --detailed-exitcode
    equal "$status" 0
}
