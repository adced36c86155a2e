#!/usr/bin/env bats
# Projects beside each other, and several berths on one project.

load lib

sleeper() { echo 'services: {web: {image: box, command: sleep infinity}, db: {image: box, command: sleep infinity}}'; }
in_project() { berth -p "$1" -f "$WORLD/projects/$1/compose.yaml" "${@:2}"; }

@test "two projects come up and go down at once and don't touch each other" {
    local other=b$PROJECT
    project_add "$other"
    sleeper >"$WORLD/projects/$PROJECT/compose.yaml"
    sleeper >"$WORLD/projects/$other/compose.yaml"
    in_project "$PROJECT" up -d 2>/dev/null &
    local first=$!
    in_project "$other" up -d 2>/dev/null
    wait $first
    equal "$(in_project "$PROJECT" ps -q | wc -l)" 2
    equal "$(in_project "$other" ps -q | wc -l)" 2
    [ "$(info_of "$PROJECT" web '.Networks[]' | cut -d. -f1-3)" != "$(info_of "$other" web '.Networks[]' | cut -d. -f1-3)" ]
    # not even by address
    ! in_project "$other" exec -T web ping -c 1 -W 1 "$(info_of "$PROJECT" web '.Networks[]')"

    local before
    before=$(in_project "$other" ps --format json | jq -c '[.ID, .Pid]')
    in_project "$PROJECT" down 2>/dev/null
    assert_nothing_left "$PROJECT"
    equal "$(in_project "$other" ps --format json | jq -c '[.ID, .Pid]')" "$before"
    in_project "$other" exec -T web ping -c 1 -W 2 db
}

@test "a second up of the same project waits, says for whom, and has nothing left to do" {
    compose <<'END'
services:
  db:
    image: box
    command: sleep infinity
    healthcheck: {test: ["CMD", "test", "-e", "/ready"], interval: 30s, start_period: 60s}
  web: {image: box, command: sleep infinity, depends_on: {db: {condition: service_healthy}}}
END
    start_berth first up -d
    local first=$PID
    wait_until state_is db running
    start_berth second up -d
    wait_until grep -q 'waiting: .*is being changed by .up., pid' second.err
    grep -q "$first" second.err
    berth exec -T db touch /ready
    wait "$first"
    wait "$PID"
    lacks "$(cat second.err)" 'Creat|Start'
    state_is web running
}

@test "ten ups at once end as one" {
    sleeper | compose
    local i pids=()
    for i in $(seq 10); do
        berth up -d >"out.$i" 2>&1 &
        pids+=($!)
    done
    for i in "${pids[@]}"; do wait "$i"; done
    equal "$(cat out.* | grep -c 'Container .*-web-1: Created')" 1
    equal "$(berth ps -q | wc -l)" 2
    equal "$(pgrep -fc "^berth keeper $PROJECT\$")" 1
    equal "$(pgrep -fc "^berth zygote $PROJECT\$")" 1
}

@test "up and down at once end in one or the other" {
    sleeper | compose
    local i pids=()
    for i in $(seq 6); do
        berth up -d >/dev/null 2>&1 &
        pids+=($!)
        berth down >/dev/null 2>&1 &
        pids+=($!)
    done
    for i in "${pids[@]}"; do wait "$i"; done
    up
    equal "$(berth ps -q | wc -l)" 2
    run berth plan --detailed-exitcode
    equal "$status" 0
}

@test "names a project doesn't own are refused, not taken" {
    compose <<'END'
services:
  web: {image: box, command: sleep infinity, container_name: the-one}
END
    up
    project_add "b$PROJECT"
    cp compose.yaml "$WORLD/projects/b$PROJECT/"
    run in_project "b$PROJECT" up -d
    equal "$status" 1
    matches "$output" 'the-one'
    state_is web running
}
