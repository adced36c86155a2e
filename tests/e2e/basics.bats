#!/usr/bin/env bats
# The round trip: up, look, work with it, down, nothing left.

load lib

two_services()
{
    compose <<'END'
services:
  web:
    image: box
    command: ["sh", "-c", "echo web is up; echo and complains >&2; exec sleep infinity"]
    depends_on: [db]
  db:
    image: box
    command: ["sleep", "infinity"]
END
}

@test "up -d, ps, logs, exec, down: the round trip" {
    two_services
    up

    run --separate-stderr berth ps --format json
    equal "$status" 0
    equal "$(jq -s length <<<"$output")" 2
    equal "$(jq -rs 'map(.Name) | join(" ")' <<<"$output")" "$PROJECT-db-1 $PROJECT-web-1"
    equal "$(jq -rs 'map(.State) | unique | .[]' <<<"$output")" running
    equal "$(jq -rs 'map(.Project) | unique | .[]' <<<"$output")" "$PROJECT"
    kill -0 "$(pid_of web)"

    wait_until logged web 'and complains'
    equal "$(berth logs web 2>/dev/null)" 'web-1 | web is up'
    equal "$(berth logs web 2>&1 >/dev/null)" 'web-1 | and complains'

    equal "$(berth exec -T web cat /proc/1/comm)" sleep
    equal "$(berth exec -T web hostname)" "$(id_of web | cut -c1-12)"

    run berth down
    equal "$status" 0
    matches "$output" "Container $PROJECT-web-1: Removed"
    matches "$output" "Network ${PROJECT}_default: Removed"
    equal "$(berth ps -aq)" ''
    nothing_left "$PROJECT" || assert_nothing_left "$PROJECT"
    assert_host_is_clean
}

@test "a second up does nothing: same ids, same processes, empty plan" {
    two_services
    up
    local before
    before=$(berth ps --format json | jq -c '[.ID, .Pid, .StartedAt]')

    run berth plan --detailed-exitcode
    equal "$status" 0
    matches "$output" 'nothing to do, .*unchanged'
    run --separate-stderr berth up -d
    equal "$status" 0
    lacks "$stderr" 'Creat|Start|Remov'
    equal "$(berth ps --format json | jq -c '[.ID, .Pid, .StartedAt]')" "$before"
}

@test "the table of ps and its other forms" {
    two_services
    up
    run berth ps
    matches "${lines[0]}" '^NAME +IMAGE +COMMAND +SERVICE +CREATED +STATUS +PORTS'
    matches "${lines[2]}" "^$PROJECT-web-1 +box +\"sh -c echo web is.*web +.* ago +Up "
    equal "$(berth ps --services)" $'db\nweb'
    equal "$(berth ps -q | wc -l)" 2
    equal "$(berth ps -q db)" "$(id_of db)"

    quiet berth stop db
    equal "$(berth ps --services)" web
    equal "$(berth ps -a --services)" $'db\nweb'
    equal "$(info db .State)" exited
    matches "$(info db .Status)" '^Exited \(137\)'
}

@test "labels are those of Compose, and the file's own" {
    compose <<'END'
services:
  web:
    image: box
    command: sleep infinity
    labels:
      org.example.team: "harbour"
END
    up
    equal "$(info web '.Labels["org.example.team"]')" harbour
    equal "$(info web '.Labels["com.docker.compose.project"]')" "$PROJECT"
    equal "$(info web '.Labels["com.docker.compose.service"]')" web
    equal "$(info web '.Labels["com.docker.compose.container-number"]')" 1
}

@test "start, stop, restart, kill" {
    two_services
    up
    local id pid
    id=$(id_of web)
    pid=$(pid_of web)

    quiet berth restart web
    equal "$(id_of web)" "$id"
    [ "$(pid_of web)" != "$pid" ]
    state_is web running

    quiet berth stop
    state_is web exited
    state_is db exited
    quiet berth start
    state_is web running
    state_is db running
    equal "$(id_of web)" "$id"

    quiet berth kill web
    wait_until state_is web exited
    equal "$(info web .ExitCode)" 137
    state_is db running
}

@test "kill -s sends that signal, and the container may live on" {
    compose <<'END'
services:
  web:
    image: box
    command: ["sh", "-c", "trap 'echo reread' HUP; echo ready; while :; do sleep 0.1; done"]
END
    up
    wait_until logged web ready
    quiet berth kill -s HUP web
    wait_until logged web reread
    state_is web running
    run berth kill -s NONSENSE web
    [ "$status" != 0 ]
    matches "$output" 'NONSENSE'
}

@test "down -p NAME works without any file" {
    two_services
    up
    cd /
    run berth -p "$PROJECT" down
    equal "$status" 0
    nothing_left "$PROJECT" || assert_nothing_left "$PROJECT"
}

@test "down of nothing is fine" {
    two_services
    run berth down
    equal "$status" 0
    matches "$output" 'nothing to take down'
}

@test "create makes containers without starting them, start starts them" {
    two_services
    quiet berth create
    state_is web created
    equal "$(berth ps -q)" ''
    quiet berth start
    state_is web running
    state_is db running
}

@test "up SERVICE brings up what it depends on, and nothing else" {
    compose <<'END'
services:
  web: {image: box, command: sleep infinity, depends_on: [db]}
  db: {image: box, command: sleep infinity}
  other: {image: box, command: sleep infinity}
END
    up web
    equal "$(berth ps --services)" $'db\nweb'
    up --no-deps other
    equal "$(berth ps --services)" $'db\nother\nweb'
}

@test "--dry-run says what would be done and does nothing" {
    two_services
    run berth --dry-run up -d
    equal "$status" 0
    matches "$output" "container create +$PROJECT-web-1"
    equal "$(berth ps -aq)" ''
    equal "$(berth network ls -q)" ''
}
