#!/usr/bin/env bats
# Secrets and configs from files; limits and restarts that deploy asks for.

load lib

@test "files of secrets and configs appear where they are asked for, read-only" {
    mkdir -p conf
    echo hush >conf/secret
    echo 'port = 80' >conf/app.conf
    compose <<'END'
services:
  web:
    image: box
    command: sleep infinity
    secrets: [token, {source: token, target: other}, {source: token, target: /etc/token}]
    configs: [app.conf, {source: app.conf, target: etc/app.conf}]
  alone: {image: box, command: sleep infinity}
secrets: {token: {file: conf/secret}}
configs: {app.conf: {file: conf/app.conf}}
END
    up
    for path in /run/secrets/token /run/secrets/other /etc/token; do
        equal "$(berth exec -T web cat $path)" hush
    done
    for path in /app.conf /etc/app.conf; do
        equal "$(berth exec -T web cat $path)" 'port = 80'
    done
    run berth exec -T web sh -c 'echo mine >/run/secrets/token'
    [ "$status" != 0 ]
    run berth exec -T alone ls /run/secrets
    [ "$status" != 0 ]
    lacks "$(berth config)" hush
    matches "$(berth plan)" 'nothing to do|up to date|No changes'
}

@test "a secret's file that is not there is named" {
    compose <<'END'
services:
  web: {image: box, command: sleep infinity, secrets: [token]}
secrets: {token: {file: ./missing}}
END
    run berth up -d
    [ "$status" != 0 ]
    matches "$output" missing
    [ ! -e missing ]
}

@test "what a secret would have to be given is refused by name and line" {
    compose <<'END'
services:
  web:
    image: box
    command: sleep infinity
    secrets: [token, {source: file, mode: 0400}]
    configs: [text]
secrets: {token: {environment: TOKEN}, file: {file: ./compose.yaml}}
configs: {text: {content: hello}}
END
    run berth up -d
    equal "$status" 2
    matches "$output" 'compose.yaml:6:37: error: service "web": `secrets\[1\].mode` is not honoured yet'
    matches "$output" 'compose.yaml:8:19: error: secret "token": `environment` is not honoured yet'
    matches "$output" 'compose.yaml:9:18: error: config "text": `content` is not honoured yet'
    equal "$(berth ps -aq)" ''
}

@test "deploy's limits and restart policy hold" {
    compose <<'END'
services:
  web:
    image: box
    command: sleep infinity
    deploy: {resources: {limits: {pids: 20}}}
  once:
    image: box
    command: "false"
    restart: always
    deploy: {restart_policy: {condition: none}}
END
    berth up -d
    run berth exec -T web sh -c 'for i in $(seq 40); do sleep 5 & done; wait'
    matches "$output" 'fork'
    state_is once exited
}
