#!/usr/bin/env bats
# Keys that berth doesn't honour yet: everything works on such a file but what would ignore them.

load lib

asks_too_much()
{
    compose <<'END'
services:
  web:
    image: box
    command: sleep infinity
    cpuset: "0"
    volumes: [data:/data]
  other: {image: box, command: sleep infinity}
volumes: {data: }
END
}

@test "up, create and plan name the key and its line, and nothing is made" {
    asks_too_much
    for verb in 'up -d' create plan '--dry-run up'; do
        # shellcheck disable=SC2086 # words on purpose
        run berth $verb
        equal "$status" 2
        matches "$output" 'compose.yaml:6:5: error: service "web": `cpuset` is not honoured yet'
        matches "$output" 'cpuset: "0"'
    done
    equal "$(berth volume ls -q)" ''
    equal "$(berth ps -aq)" ''
}

@test "a service that doesn't ask for it comes up" {
    asks_too_much
    berth up -d other
    state_is other running
    run berth up -d web
    equal "$status" 2
}

@test "what runs can be looked at, used and taken down" {
    asks_too_much
    sed -i '/cpuset/d' compose.yaml
    up
    asks_too_much
    matches "$(berth config)" 'cpuset: "0"'
    matches "$(berth ps)" 'web'
    equal "$(berth exec -T web echo hello)" hello
    berth logs >/dev/null
    berth stop web
    state_is web exited
    berth start web
    state_is web running
    berth down -v
    equal "$(berth ps -aq)" ''
}

@test "build refuses what a build would ignore, and only that" {
    mkdir app
    printf 'FROM box\nRUN true\n' >app/Dockerfile
    compose <<'END'
services:
  web:
    image: one
    cpuset: "0"
    build: {context: app, labels: [made.by=us]}
END
    berth build
    sed -i 's/labels:.*/tags: [two]}/' compose.yaml
    run berth build
    equal "$status" 2
    matches "$output" 'compose.yaml:6:27: error: service "web": `build.tags` is not honoured yet'
    lacks "$output" cpuset
    sed -i 's/, tags:.*/}/; s/cpuset: "0"/platform: linux\/s390x/' compose.yaml
    run berth build
    equal "$status" 2
    matches "$output" 'compose.yaml:5:15: error: service "web": `platform: linux/s390x` is not honoured yet'
}

@test "what means nothing here is warned about once, and up goes on" {
    compose <<'END'
services:
  one: {image: box, command: sleep infinity, cpu_count: 2}
  two: {image: box, command: sleep infinity, cpu_count: 2}
END
    run berth up -d
    equal "$status" 0
    equal "$(grep -c 'warning' <<<"$output")" 1
    matches "$output" 'compose.yaml:3:46: warning: service "one": `cpu_count` has no effect'
    state_is two running
}

@test "config prints what up refuses" {
    compose <<'END'
services:
  one:
    image: box
    build: {context: ., args: [A=1]}
    ports: ["5000:5000/sctp"]
  two:
    image: box
    build: {context: ., args: [A=2]}
END
    matches "$(berth config)" 'protocol: sctp'
    berth config -q
    sed -i '/A=2/d' compose.yaml
    run berth plan
    equal "$status" 2
    matches "$output" 'compose.yaml:6:13: error: service "one": `ports\[0\].protocol: sctp` is not honoured yet'
}
