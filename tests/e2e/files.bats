#!/usr/bin/env bats
# Which files the command line makes a project of.

load lib

images()
{
    berth "$@" config --images
}

@test "a file can come from a pipe, once" {
    echo 'services: {a: {image: "from:$TAG"}}' >in.yaml
    equal "$(images -f - <in.yaml 2>&1 | tail -1)" from:
    equal "$(TAG=2 images -f <(cat in.yaml))" from:2
    equal "$(images -f <(cat in.yaml) --env-file <(echo TAG=3))" from:3
    equal "$(TAG=4 images -f /dev/stdin < <(cat in.yaml))" from:4
    run -2 berth -f - -f - config -q <in.yaml
    matches "$output" "standard input can be named only once"
}

@test "a FIFO that a file names is refused, not waited for" {
    mkfifo pipe
    echo 'services: {a: {image: x, env_file: pipe}}' >compose.yaml
    LIMIT=5 run -2 berth config -q
    matches "$output" "pipe is a FIFO, not a file"
    LIMIT=5 run -2 berth -f pipe config -q
    matches "$output" "pipe is a FIFO, not a file"
}

@test "a directory entered through a link has the link's name" {
    mkdir real
    echo 'services: {a: {image: x}}' >real/compose.yaml
    ln -s real linked
    unset COMPOSE_PROJECT_NAME
    cd linked
    run -0 berth config
    matches "$output" 'named "linked" after a symbolic link to'
    matches "$output" "name: linked"
}

@test "included files, their environment and what is merged over them" {
    mkdir sub
    echo TAG=inner >sub/.env
    echo 'services: {db: {image: "db:$TAG", ports: ["80:80", "81:81"]}}' >sub/compose.yaml
    compose <<'END'
include: [sub/compose.yaml]
services:
  web: {image: web, depends_on: [db]}
  db: {ports: [!reset "80:80"]}
END
    run -0 berth config
    matches "$output" 'service "db" is merged over the included one of sub/compose.yaml:1'
    equal "$(berth config --format json 2>/dev/null | jq -c '[.services.db.image, .services.db.ports[].published]')" \
          '["db:inner","81"]'
    equal "$(berth config --services 'w*' 2>/dev/null)" $'db\nweb'
}

@test "settings of the command line can live in .env" {
    mkdir files
    echo 'services: {a: {image: a}, b: {image: b, profiles: [p]}, c: {image: c, profiles: [q]}}' >files/one.yaml
    echo 'services: {a: {image: replaced}}' >files/two.yaml
    printf 'COMPOSE_FILE=files/one.yaml,files/two.yaml\nCOMPOSE_PATH_SEPARATOR=,\nCOMPOSE_PROFILES=p\n' >.env
    equal "$(images)" $'b\nreplaced'
    equal "$(images --profile q)" $'c\nreplaced'
}
