#!/usr/bin/env bats
# Networks and volumes of their own, and projects that use them as external ones.

load lib

teardown()
{
    local failed=0
    berth -p "$PROJECT" down -v -t 0 >/dev/null 2>&1
    berth network ls -q | xargs -r "${BERTH_COMMAND[@]}" network rm >/dev/null 2>&1
    berth volume ls -q | xargs -r "${BERTH_COMMAND[@]}" volume rm >/dev/null 2>&1
    project_destroy || failed=1
    return $failed
}

@test "network create, ls, rm" {
    equal "$(berth network create --subnet 10.77.0.0/24 --gateway 10.77.0.9 quay)" quay
    equal "$(berth network ls --format json | jq -c '[.Name, .Subnet, .Gateway, .Internal, .Up]')" '["quay","10.77.0.0/24","10.77.0.9",false,true]'
    berth network create quay --subnet 10.77.0.0/24 --gateway 10.77.0.9
    run berth network create --subnet 10.78.0.0/24 quay
    equal "$status" 1
    run berth network create --subnet nonsense other
    [ "$status" != 0 ]
    equal "$(berth network rm quay)" quay
    equal "$(berth network ls -q)" ''
}

@test "volume create, ls, rm" {
    equal "$(berth volume create hold)" hold
    equal "$(berth volume ls -q)" hold
    equal "$(berth volume ls --format json | jq -r .Name)" hold
    equal "$(berth volume rm hold)" hold
    equal "$(berth volume ls -q)" ''
}

@test "external network and volume are used, and stay" {
    compose <<'END'
services:
  web: {image: box, command: sleep infinity, networks: [quay], volumes: ["hold:/hold"]}
networks: {quay: {external: true}}
volumes: {hold: {external: true}}
END
    run berth up -d
    equal "$status" 1
    matches "$output" 'quay|hold'
    quiet berth network create quay
    quiet berth volume create hold
    up
    equal "$(info web '.Networks | keys[]')" quay
    berth exec -T web touch /hold/thing

    run berth network rm quay
    equal "$status" 1
    matches "$output" "$PROJECT-web-1"
    run berth volume rm hold
    equal "$status" 1
    matches "$output" "$PROJECT-web-1"

    quiet berth down -v
    equal "$(berth network ls -q)" quay
    equal "$(berth volume ls -q)" hold
}

@test "two projects meet on an external network" {
    quiet berth network create quay
    compose <<'END'
services:
  web: {image: box, command: sleep infinity, networks: [quay]}
networks: {quay: {external: true}}
END
    up
    project_add "b$PROJECT"
    cat >"$WORLD/projects/b$PROJECT/compose.yaml" <<'END'
services:
  db: {image: box, command: sleep infinity, networks: [quay]}
networks: {quay: {external: true}}
END
    quiet berth -p "b$PROJECT" -f "$WORLD/projects/b$PROJECT/compose.yaml" up -d
    berth exec -T web ping -c 1 -W 2 db
    quiet berth -p "b$PROJECT" -f "$WORLD/projects/b$PROJECT/compose.yaml" down
    quiet berth down
}
