#!/usr/bin/env bats
# berth config and what its flags print.

load lib

example()
{
    compose <<'END'
services:
  web:
    image: box:${TAG:-1}
    command: ["echo", "$NOBODY"]
    ports: ["8080:80"]
    profiles: [front, all]
    volumes: ["v:/v"]
  db:
    image: box
    build: .
    environment: {B: "2", A: "${DB_A:?say which}"}
    networks: [back]
  alone: {image: box, profiles: [all]}
  made: {build: made}
networks: {back: , unused: }
volumes: {v: , w: }
END
    export DB_A=one
}

@test "lists are sorted, and hold each name once" {
    example
    equal "$(berth config --services)" $'db\nmade'
    equal "$(berth --profile all config --services)" $'alone\ndb\nmade\nweb'
    equal "$(berth --profile all config --services --format json | jq -c .)" '["alone","db","made","web"]'
    equal "$(berth config --networks)" $'back\ndefault'
    equal "$(berth --all-resources config --networks)" $'back\ndefault\nunused'
    equal "$(berth --profile all config --volumes)" v
    equal "$(berth --all-resources config --volumes)" $'v\nw'
    equal "$(berth --profile all config --images)" "$(printf '%s\n' box box:1 "$PROJECT-made" | sort)"
    cp compose.yaml models.yaml
    echo 'models: {big: {model: m}, aged: {model: n}}' >>models.yaml
    equal "$(berth -f models.yaml --all-resources config --models)" $'aged\nbig'
    rm models.yaml
    equal "$(berth config --profiles)" $'all\nfront'
    equal "$(berth config --services db)" db
    equal "$(berth config --quiet --services db)" db
}

@test "an option that would have no effect is refused" {
    local words
    example
    for words in '--quiet --output f' '--quiet --explain name' '--explain name --hash *' '--no-interpolate --hash db' \
        '--no-interpolate --images' '--no-interpolate --profiles' '--explain name --lock-image-digests' '--lock-image-digests --resolve-image-digests' '--no-interpolate --lock-image-digests'; do
        set -f
        run berth config $words
        set +f
        equal "$words: $status" "$words: 2"
        matches "$output" 'cannot be combined'
    done
    run berth config --explain name web
    equal "$status" 2
    [ ! -e f ]
}

@test "one list at a time" {
    example
    run berth config --services --volumes
    equal "$status" 2
    matches "$output" '--services and --volumes cannot be combined'
}

@test "--variables: what the files use, without any of it being set" {
    example
    unset DB_A
    run --separate-stderr berth config --variables
    equal "$status" 0
    equal "$stderr" ''
    equal "$(echo "$output" | sed 's/ *$//')" 'NAME     REQUIRED   DEFAULT VALUE   ALTERNATE VALUE
DB_A     true
NOBODY   false
TAG      false      1'
    equal "$(berth config --variables --format json | jq -Sc .TAG)" '{"DefaultValue":"1","Name":"TAG","PresenceValue":"","Required":false}'
}

@test "--environment: what variables the files can use" {
    example
    echo 'FROM_DOTENV=yes $DB_A' >.env
    equal "$(berth config --environment | grep -E '^(FROM_DOTENV|DB_A|COMPOSE_PROJECT_NAME)=')" "COMPOSE_PROJECT_NAME=$PROJECT
DB_A=one
FROM_DOTENV=yes one"
    equal "$(berth config --environment --format json | jq 'keys_unsorted == keys')" true
    equal "$(berth config --environment --format json | jq -r .FROM_DOTENV)" 'yes one'
}

@test "--hash: one per service, the same however it is written" {
    example
    local all
    all=$(berth config --hash '*')
    equal "$(echo "$all" | cut -d' ' -f1)" $'db\nmade'
    matches "$all" '^db [0-9a-f]{64}'
    equal "$(berth config --hash db)" "$(echo "$all" | head -1)"
    equal "$(berth config --hash made,db)" "$all"
    equal "$(berth config --hash '*' --format json | jq -r .db)" "$(berth config --hash db | cut -d' ' -f2)"
    run berth config --hash ghost
    equal "$status" 1
    matches "$output" 'no such service: ghost'
    DB_A=two
    [ "$(berth config --hash db)" != "$(echo "$all" | head -1)" ]
    equal "$(berth config --hash made)" "$(echo "$all" | tail -1)"
}

@test "-o: a whole file or the old one; what is no file stays what it is" {
    example
    berth config -o out.yaml
    equal "$(cat out.yaml)" "$(berth config)"
    chmod 600 out.yaml
    ln -s out.yaml link.yaml
    berth config --format json --output link.yaml
    [ -L link.yaml ]
    equal "$(stat -c %a out.yaml)" 600
    equal "$(jq -r .services.db.image out.yaml)" box
    mkfifo fifo
    cat fifo >read &
    berth config -o fifo
    wait $!
    [ -p fifo ]
    equal "$(cat read)" "$(berth config)"
    berth config -o /dev/null
    [ -c /dev/null ]
    run berth config -o missing/out.yaml
    equal "$status" 1
    matches "$output" 'missing/out.yaml'
    equal "$(ls -A | sort | tr '\n' ' ')" 'compose.yaml fifo link.yaml out.yaml read '
    unset DB_A
    run berth config -o out.yaml
    equal "$status" 2
    equal "$(jq -r .services.db.image out.yaml)" box
}

@test "--no-… leaves things as they are written, and the result loads" {
    example
    unset DB_A
    berth --profile all config --no-interpolate >raw.yaml
    grep -qF 'image: box:${TAG:-1}' raw.yaml
    export DB_A=one TAG=7
    equal "$(berth --profile all -f raw.yaml config)" "$(berth --profile all config)"
    equal "$(berth config --no-normalize --format json | jq -c '.services.made.build, .networks.back')" '{"context":"'"$DIR"'/made"}
{"ipam":{}}'
    equal "$(berth config --no-path-resolution --format json | jq -r .services.made.build.context)" made
    echo 'services: {web: {image: box, env_file: absent.env, depends_on: [ghost]}}' >compose.yaml
    run berth config -q
    equal "$status" 2
    equal "$(berth config --no-consistency --no-env-resolution --format json | jq -c '.services.web | .env_file, .depends_on')" '[{"path":"'"$DIR"'/absent.env"}]
{"ghost":{"condition":"service_started","required":true}}'
}

@test "--resolve-image-digests: what tags mean now; --lock-image-digests: an override that says so" {
    local pinned
    background in_host "$TOP/tests/e2e/registry" 5999 team/app:1 team/db:latest
    wait_until in_host bash -c ': </dev/tcp/127.0.0.1/5999'
    compose <<'END'
services:
  web: {image: "127.0.0.1:5999/team/app:1", command: "echo $$X"}
  web2: {image: "127.0.0.1:5999/team/app:1"}
  db: {image: "127.0.0.1:5999/team/db", hostname: h}
  made: {image: mine, build: made}
  done: {image: "docker.io/library/box@sha256:0000000000000000000000000000000000000000000000000000000000000000"}
END
    pinned="127.0.0.1:5999/team/app:1@sha256:$(printf 'manifest of team/app:1' | sha256sum | cut -d' ' -f1)"
    berth config --resolve-image-digests >pinned.yaml
    equal "$(berth -f pinned.yaml config --format json | jq -r '.services | .web.image, .web2.image, .made.image, .db.hostname')" "$pinned
$pinned
mine
h"
    equal "$(berth config --lock-image-digests --format json | jq -c '[keys, (.services | keys), (.services.web | keys)]')" '[["services"],["db","done","made","web","web2"],["image"]]'
    berth config --lock-image-digests -o lock.yaml
    equal "$(berth -f compose.yaml -f lock.yaml config)" "$(cat pinned.yaml)"
    equal "$(berth config --lock-image-digests db | grep -c image:)" 1
    echo 'services: {web: {image: box}, old: {image: "127.0.0.1:5999/team/app:2"}}' >compose.yaml
    run berth config --resolve-image-digests old
    equal "$status" 1
    matches "$output" 'compose.yaml:1:37: service "old": resolve "127.0.0.1:5999/team/app:2": .*the registry does not have it'
    run berth config --resolve-image-digests --no-interpolate
    equal "$status" 2
    run berth config --lock-image-digests --services
    equal "$status" 2
    echo 'services: {web: {image: "127.0.0.1:1/x"}}' >compose.yaml
    run berth config --lock-image-digests
    equal "$status" 1
    matches "$output" 'compose.yaml:1:18: service "web": .*127.0.0.1:1'
}

@test "--explain: where a value came from" {
    example
    echo 'services: {db: {environment: {A: "${DB_A}, ${FROM_DOTENV}"}}}' >over.yaml
    echo 'FROM_DOTENV=file' >.env
    run --separate-stderr berth -f compose.yaml -f over.yaml config --explain services.db.environment.A
    equal "$status" 0
    equal "$output" 'services.db.environment.A: one, file

  compose.yaml:12:30  sets it; replaced below
      environment: {B: "2", A: "${DB_A:?say which}"}
                               ^
        DB_A=one  from the environment

  over.yaml:1:34      replaces it
      services: {db: {environment: {A: "${DB_A}, ${FROM_DOTENV}"}}}
                                       ^
        DB_A=one          from the environment
        FROM_DOTENV=file  from .env:1'
    equal "$(berth config --explain networks.unused.name --format json | jq -r '.value, .steps[0].source')" "${PROJECT}_unused
default"
    run berth config --explain services.db.imag
    equal "$status" 1
    equal "${lines[-1]}" 'berth: services.db has no "imag": did you mean "image"?'
    run berth config --explain services.web.image
    equal "$status" 1
    matches "$output" 'service "web" is not enabled: no active profile has it'
    run berth config --explain name --services
    equal "$status" 2
}
