#!/usr/bin/env bats
# What changes when the files change: plan, replacement, live updates, orphans, merging, profiles.

load lib

three_services()
{
    compose <<END
services:
  web:
    image: box
    command: sleep infinity
    environment: {COLOUR: ${1:-blue}}
    mem_limit: ${2:-32m}
    depends_on: [db]
  db: {image: box, command: sleep infinity}
  other: {image: box, command: sleep infinity}
END
}

@test "a changed variable replaces that service only; the plan says why and where" {
    three_services
    up
    local web db other
    web=$(id_of web) db="$(id_of db) $(pid_of db)" other="$(id_of other) $(pid_of other)"

    three_services green
    run berth plan --detailed-exitcode
    equal "$status" 2
    matches "$output" "container replace +$PROJECT-web-1 +environment.COLOUR \"?blue\"? -> \"?green\"? +compose.yaml:6"
    lacks "$output" "$PROJECT-db-1|$PROJECT-other-1"

    up
    [ "$(id_of web)" != "$web" ]
    equal "$(id_of db) $(pid_of db)" "$db"
    equal "$(id_of other) $(pid_of other)" "$other"
    equal "$(berth exec -T web sh -c 'echo $COLOUR')" green
    run berth plan --detailed-exitcode
    equal "$status" 0
}

@test "the plan as JSON" {
    three_services
    run --separate-stderr berth plan --format json
    equal "$status" 0
    equal "$(jq -r .format <<<"$output")" 1
    equal "$(jq -r .project <<<"$output")" "$PROJECT"
    equal "$(jq -c '[.nodes[] | select(.op == "create") | .subject] | sort' <<<"$output")" \
        "[\"$PROJECT-db-1\",\"$PROJECT-other-1\",\"$PROJECT-web-1\"]"
    # edges point backwards
    equal "$(jq '[.nodes[] | .id as $id | .after[] | select(. >= $id)] | length' <<<"$output")" 0
    up
    three_services green
    equal "$(berth plan --format json | jq -rc '[.nodes[].reasons[] | select(.field != null) | [.field, .old, .new, .where.line]] | unique | .[]' | head -1)" \
        '["environment.COLOUR","blue","green",6]' ||
        equal "$(berth plan --format json | jq -rc '[.nodes[].reasons[] | select(.field != null) | [.field, .old, .new, .where.line]] | unique | .[]' | head -1)" \
            '["environment.COLOUR","\"blue\"","\"green\"",6]'
}

@test "a changed limit is set on the running container" {
    three_services
    up
    local before
    before="$(id_of web) $(pid_of web)"
    three_services blue 48m
    run berth plan
    matches "$output" "container update +$PROJECT-web-1 +mem_limit 32m -> 48m +compose.yaml:7"
    up
    equal "$(id_of web) $(pid_of web)" "$before"
    equal "$(cat /sys/fs/cgroup/{,unified/,memory/}berth/"$PROJECT/$PROJECT-web-1"/{memory.max,memory.limit_in_bytes} 2>/dev/null | head -1)" 50331648
    run berth plan --detailed-exitcode
    equal "$status" 0
}

@test "restart policy and health check change live" {
    compose <<'END'
services:
  web: {image: box, command: sleep infinity}
END
    up
    local before
    before="$(id_of web) $(pid_of web)"
    compose <<'END'
services:
  web:
    image: box
    command: sleep infinity
    restart: always
    healthcheck: {test: ["CMD", "true"], interval: 30s}
END
    up
    equal "$(id_of web) $(pid_of web)" "$before"
    wait_until health_is web healthy
    kill -9 "$(pid_of web)"
    restarted() { [ "$(info web .Restarts)" = 1 ]; }
    wait_until restarted
}

@test "a changed port is published, the old one closed, while the container runs" {
    ported() { echo "services: {web: {image: box, command: [nc, -ll, -p, '80', -e, echo, hello], ports: ['$1:80']}}" | compose; }
    answers() { [ "$(in_host busybox nc -w 2 127.0.0.1 "$1" </dev/null)" = hello ]; }
    ported 8085
    up
    wait_until answers 8085
    local before="$(id_of web) $(pid_of web)"
    ported 8086
    run berth plan
    matches "$output" "container update +$PROJECT-web-1 +ports 8085:80/tcp -> 8086:80/tcp"
    up
    equal "$(id_of web) $(pid_of web)" "$before"
    equal "$(info web '.Publishers[0].PublishedPort')" 8086
    wait_until answers 8086
    ! answers 8085
}

@test "orphans are named, and removed when asked" {
    three_services
    up
    compose <<'END'
services:
  db: {image: box, command: sleep infinity}
END
    run berth up -d
    equal "$status" 0
    matches "$output" "$PROJECT-web-1"
    matches "$output" '(--remove-orphans|orphan)'
    state_is web running
    up --remove-orphans
    equal "$(berth ps -a --services)" db
}

@test "down leaves orphans unless asked" {
    three_services
    up
    compose <<'END'
services:
  web: {image: box, command: sleep infinity}
END
    run berth down
    equal "$status" 0
    equal "$(berth ps -a --services)" $'db\nother'
    run berth down --remove-orphans
    equal "$status" 0
    equal "$(berth ps -aq)" ''
    assert_nothing_left "$PROJECT"
}

@test "force-recreate, no-recreate" {
    three_services
    up
    local before
    before=$(id_of web)
    up --force-recreate web
    [ "$(id_of web)" != "$before" ]
    before=$(id_of web)
    three_services red
    up --no-recreate
    equal "$(id_of web)" "$before"
}

@test "several files: the later overrides and adds" {
    three_services
    cat >more.yaml <<'END'
services:
  web: {environment: {COLOUR: green, SIZE: big}}
  extra: {image: box, command: sleep infinity}
END
    quiet berth -f compose.yaml -f more.yaml up -d
    equal "$(berth exec -T web sh -c 'echo $COLOUR $SIZE')" 'green big'
    equal "$(berth ps --services)" $'db\nextra\nother\nweb'
}

@test "compose.override.yaml is read by itself" {
    three_services
    echo 'services: {web: {hostname: overridden}}' >compose.override.yaml
    equal "$(berth config --format json | jq -r .services.web.hostname)" overridden
    equal "$(berth -f compose.yaml config --format json | jq -r .services.web.hostname)" null
}

@test "profiles" {
    compose <<'END'
services:
  web: {image: box, command: sleep infinity}
  tools: {image: box, command: sleep infinity, profiles: [debug]}
END
    up
    equal "$(berth ps --services)" web
    quiet berth --profile debug up -d
    equal "$(berth ps --services)" $'tools\nweb'
    quiet berth down # what a profile that is off has, stays
    equal "$(berth ps -a --services)" tools
    quiet berth --profile '*' down
    equal "$(berth ps -a --services)" ''
    COMPOSE_PROFILES=debug up
    equal "$(berth ps --services)" $'tools\nweb'
    quiet berth --profile debug down
    up tools
    equal "$(berth ps --services)" tools
}

@test "a container that was killed behind our back is started again by up" {
    three_services
    up
    local before
    before="$(id_of db) $(pid_of db)"
    kill -9 "$(pid_of web)"
    wait_until state_is web exited
    run berth plan
    matches "$output" "container start +$PROJECT-web-1"
    up
    state_is web running
    equal "$(id_of db) $(pid_of db)" "$before"
}

@test "a network that vanished is made again" {
    three_services
    up
    local link
    for link in $(in_host ip -o link | grep -oE 'bt-[0-9a-f]+' | sort -u); do
        in_host ip link del "$link"
    done
    run berth plan --detailed-exitcode
    equal "$status" 2
    up
    berth exec -T web ping -c 1 -W 2 db
}

@test "an up that fails before it has made anything leaves nothing, also of the project's name" {
    compose <<'END'
services:
  web: {image: box, command: sleep infinity, networks: [back]}
networks:
  back: {external: true, name: nobody-made-it}
END
    run berth up -d
    equal "$status" 1
    matches "$output" nobody-made-it
    [ ! -e "$BERTH_RUN/projects/$PROJECT" ]
    [ ! -e "$BERTH_ROOT/projects/$PROJECT" ]
    run berth stop
    [ ! -e "$BERTH_RUN/projects/$PROJECT" ]
    run berth --dry-run down
    [ ! -e "$BERTH_RUN/projects/$PROJECT" ]
}
