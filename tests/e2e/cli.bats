#!/usr/bin/env bats
# The command line: help, exit codes, files that are wrong.

load lib

verbs() { berth --help | awk '/^[A-Z].*:$/ { on = ($0 !~ /^(Options|Examples)/) } on && /^  [a-z]/ { print $1 }'; }

@test "--help works on everything, and names every option" {
    local verb member
    run berth --help
    equal "$status" 0
    [ "$(verbs | wc -l)" -ge 17 ]
    for verb in $(verbs); do
        run berth "$verb" --help
        equal "$status" 0
        matches "${lines[0]}" "^Usage: berth $verb "
        matches "$output" '-h, --help'
        lacks "$output" 'COMMAND COMMAND'
    done
    matches "$(berth up --help)" '-d, --detach'
    matches "$(berth down --help)" '-v, --volumes'
    matches "$(berth logs --help)" '-n, --tail'
    for verb in image network volume; do
        for member in $(berth "$verb" --help | awk '/^Commands:/ { on = 1; next } /^[A-Z]/ { on = 0 } on && /^  [a-z]/ { print $1 }'); do
            run berth "$verb" "$member" --help
            equal "$status" 0
            matches "${lines[0]}" "^Usage: berth $verb $member "
        done
    done
}

@test "every option of every verb is understood: --help lists what the parser takes" {
    local verb option
    for verb in up down ps logs exec plan config start stop restart kill build create version; do
        for option in $(berth "$verb" --help | awk '/^Options:/ { on = 1; next } /^[A-Z]/ { on = 0 } on' | grep -oE -- '^ +(-[a-zA-Z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+'); do
            # a second --help is harmless; an unknown option would be a usage error first
            run berth "$verb" "$option" 1 --help
            lacks "$output" 'unknown flag'
        done
    done
}

@test "a wrong command line: exit code 2, and what was wrong" {
    local words
    for words in 'uup' 'up --detached' 'up -Z' 'logs --tail' 'image' 'image nonsense' 'ps --format xml' 'up --build --no-build'; do
        run berth $words
        if [ "$words" = image ]; then
            matches "$output" 'Usage: berth image'
        else
            equal "$words: $status" "$words: 2"
            matches "$output" '^berth: '
        fi
    done
    run berth uup
    matches "$output" 'did you mean "up"'
}

@test "--ansi: colours where there is no terminal, and none where they are forced" {
    compose <<'END'
services: {web: {image: box}}
END
    matches "$(berth --ansi always plan)" $'\e\\['
    lacks "$(CLICOLOR_FORCE=1 berth --ansi never plan)" $'\e\\['
    matches "$(CLICOLOR_FORCE=1 berth plan)" $'\e\\['
    lacks "$(berth plan)" $'\e\\['
}

@test "no file: says which ones it looked for" {
    cd "$WORLD"
    run berth up -d
    [ "$status" != 0 ]
    matches "$output" 'compose.yaml'
    run berth -f nothing.yaml up
    [ "$status" != 0 ]
    matches "$output" 'nothing.yaml'
}

@test "files that are wrong: exit code 2, the place, the line itself" {
    local text
    for text in 'services: [' 'services: {web: {image: 1, 2}}' $'services:\n\tweb: {}' 'services: {web: 7}' \
        'services: {web: {image: box, ports: [nonsense]}}' 'services: {web: {image: box, mem_limit: lots}}' \
        'services: {web: {image: box, depends_on: [ghost]}}' 'services: {web: {}}' 'services: {web: {image: box, restart: sometimes}}'; do
        echo "$text" >compose.yaml
        run berth config
        equal "$text: $status" "$text: 2"
        matches "$output" 'compose.yaml:[0-9]+:[0-9]+: '
    done
}

@test "a key that is not honoured is refused by name with its line" {
    compose <<'END'
services:
  web:
    image: box
    blkio_config: {weight: 300}
END
    run berth up -d
    equal "$status" 2
    matches "$output" 'compose.yaml:5:'
    matches "$output" 'blkio_config'
    compose <<'END'
services:
  web:
    image: box
    comand: typo
END
    run berth config -q
    equal "$status" 2
    matches "$output" 'compose.yaml:5:.*comand'
    matches "$output" '"?command"?'
}

@test "config prints YAML that reads back, JSON, names, or nothing" {
    compose <<'END'
services:
  web: {image: box, command: echo hello, ports: ["8080:80"], environment: {A: b}, volumes: ["v:/v"]}
  db: {image: box}
volumes: {v: }
END
    berth config >printed.yaml
    equal "$(berth -f printed.yaml config --format json)" "$(berth config --format json)"
    equal "$(berth config --format json | jq -c '.services.web.command')" '["echo","hello"]'
    equal "$(berth config --services)" $'db\nweb'
    equal "$(berth config --volumes)" v
    equal "$(berth config -q)" ''
    equal "$(berth config --images)" box
    equal "$(berth config --format json | jq -r .name)" "$PROJECT"
}

@test "the project's name: -p, COMPOSE_PROJECT_NAME, name:, the directory" {
    echo 'services: {web: {image: box}}' >compose.yaml
    name() { berth "$@" config --format json | jq -r .name; }
    equal "$(name)" "$PROJECT"
    equal "$(COMPOSE_PROJECT_NAME=shell name)" shell
    equal "$(COMPOSE_PROJECT_NAME=shell name -p flag)" flag
    echo 'name: file' >>compose.yaml
    equal "$(name)" file
    equal "$(COMPOSE_PROJECT_NAME=shell name)" shell
    mkdir deeper
    cd deeper
    equal "$(name)" file
    cd ..
    cp compose.yaml elsewhere.yaml
    equal "$(COMPOSE_FILE=elsewhere.yaml name)" file
}

@test "the file from standard input" {
    equal "$(echo 'services: {web: {image: box, command: cat}}' | berth -f - -p x config --format json | jq -c .services.web.command)" '["cat"]'
}

@test "an image that is not there: which one, and how to get it" {
    compose <<'END'
services:
  web: {image: "nowhere.invalid/none:1"}
END
    run berth up -d
    equal "$status" 1
    matches "$output" 'nowhere.invalid/none:1'
    equal "$(berth ps -aq)" ''
}

@test "version, in words and as JSON" {
    run berth version
    equal "$status" 0
    matches "$output" '[0-9]+\.[0-9]+'
    equal "$(berth --version)" "$output"
}

@test "no root: an error that says so, but config works" {
    echo 'services: {web: {image: box}}' >compose.yaml
    chmod 755 "$WORLD" "$WORLD/projects" "$DIR"
    cp "$BERTH" "$WORLD/berth"
    run setpriv --reuid 65534 --regid 65534 --clear-groups "$WORLD/berth" config -q
    equal "$status" 0
    run setpriv --reuid 65534 --regid 65534 --clear-groups env BERTH_ROOT=/nonexistent "$WORLD/berth" up -d
    equal "$status" 1
    matches "$output" 'root|denied|permission|EACCES|EPERM'
}

@test "output is clean: stdout has results only, plain without a terminal" {
    compose <<'END'
services:
  web: {image: box, command: sleep infinity}
END
    equal "$(berth up -d 2>/dev/null)" ''
    lacks "$(berth up -d --force-recreate 2>&1)" $'\e'
    lacks "$(berth ps 2>&1)" $'\e'
    equal "$(berth --progress quiet up -d --force-recreate 2>&1)" ''
    equal "$(berth down 2>/dev/null)" ''
}

@test "two services that build one image name in different ways are told apart by line" {
    mkdir -p a b
    echo 'FROM box' | tee a/Dockerfile >b/Dockerfile
    compose <<'END'
services:
  x: {image: "same:1", build: ./a}
  y: {image: "same:1", build: ./b}
END
    berth config -q
    run berth plan
    equal "$status" 2
    matches "$output" 'compose.yaml:4:.*compose.yaml:3:'
}
