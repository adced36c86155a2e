#!/usr/bin/env bats
# What a process finds around it: variables, directory, user, host name, terminal, init.

load lib

@test "environment, env_file, .env interpolation and the shell's, in their order" {
    cat >.env <<'END'
FROM_DOTENV=dotenv
BOTH=dotenv
END
    cat >web.env <<'END'
# a comment
FILE_ONLY=file
OVERRIDDEN=file
QUOTED="with spaces"
REFERS=${FROM_DOTENV}-too
END
    compose <<'END'
services:
  web:
    image: box
    command: ["sh", "-c", "env; sleep infinity"]
    env_file: web.env
    environment:
      OVERRIDDEN: file-of-the-project
      INTERPOLATED: "${FROM_DOTENV} ${BOTH} ${UNSET_HERE:-default} $$HOME"
      PASSED:
      EMPTY: ""
END
    export PASSED=from-the-shell BOTH=shell
    up
    wait_until logged web INTERPOLATED
    run --separate-stderr berth logs --no-log-prefix web
    matches "$output" '^FILE_ONLY=file$'
    matches "$output" '^OVERRIDDEN=file-of-the-project$'
    matches "$output" '^QUOTED=with spaces$'
    matches "$output" '^REFERS=dotenv-too$'
    matches "$output" '^INTERPOLATED=dotenv shell default \$HOME$'
    matches "$output" '^PASSED=from-the-shell$'
    matches "$output" '^EMPTY=$'
    matches "$output" '^HOME=/root$'
    matches "$output" '^PATH=/usr/local/sbin:'
}

@test "a missing variable warns, a required one fails with its text" {
    compose <<'END'
services:
  web: {image: box, command: "echo ${NOWHERE_SET}"}
END
    run berth config
    equal "$status" 0
    matches "$output" 'NOWHERE_SET'
    compose <<'END'
services:
  web: {image: box, command: "echo ${NOWHERE_SET:?set it to the harbour}"}
END
    run berth config
    equal "$status" 2
    matches "$output" 'compose.yaml:3:.*'
    matches "$output" 'set it to the harbour'
}

@test "--env-file stands in for .env" {
    echo 'WHO=dotenv' >.env
    echo 'WHO=other' >other.env
    compose <<'END'
services:
  web: {image: box, command: "echo ${WHO}"}
END
    equal "$(berth --env-file other.env config --format json | jq -r '.services.web.command[1]')" other
}

@test "working_dir, user, groups and host name" {
    compose <<'END'
services:
  web:
    image: box
    command: ["sh", "-c", "pwd; id; hostname; sleep infinity"]
    working_dir: /srv/deep/er
    user: sailor
    hostname: lighthouse
  number:
    image: box
    command: ["sh", "-c", "id -u; id -g; sleep infinity"]
    user: "12345:54321"
END
    up
    wait_until logged web lighthouse
    run --separate-stderr berth logs --no-log-prefix web
    equal "${lines[0]}" /srv/deep/er
    equal "${lines[1]}" 'uid=1000(sailor) gid=1000(sailor) groups=1000(sailor),2000(crew)'
    wait_until logged number 54321
    equal "$(berth logs --no-log-prefix number)" $'12345\n54321'
}

@test "a user the image doesn't know: an error that names it" {
    compose <<'END'
services:
  web: {image: box, command: sleep infinity, user: nemo}
END
    run berth up -d
    equal "$status" 1
    matches "$output" 'nemo'
}

@test "entrypoint and command replace the image's" {
    image_import with-defaults -c 'ENTRYPOINT ["echo", "image"]' -c 'CMD ["default"]' -c 'ENV WHERE=image' -c 'WORKDIR /srv'
    compose <<'END'
services:
  plain: {image: with-defaults}
  command: {image: with-defaults, command: ["mine"]}
  entrypoint: {image: with-defaults, entrypoint: ["sh", "-c", "echo $$WHERE; pwd"]}
END
    up
    wait_until state_is plain exited
    wait_until state_is command exited
    wait_until state_is entrypoint exited
    equal "$(berth logs --no-log-prefix plain)" 'image default'
    equal "$(berth logs --no-log-prefix command)" 'image mine'
    equal "$(berth logs --no-log-prefix entrypoint)" $'image\n/srv'
    quiet berth down
    quiet berth image rm with-defaults
}

@test "a command that is not there: 127, not executable: 126" {
    compose <<'END'
services:
  absent: {image: box, command: [nonesuch]}
  denied: {image: box, command: [/etc/passwd]}
END
    run berth up -d
    matches "$output" nonesuch
    wait_until state_is absent exited
    wait_until state_is denied exited
    equal "$(info absent .ExitCode)" 127
    equal "$(info denied .ExitCode)" 126
}

@test "tty and stdin_open" {
    compose <<'END'
services:
  with: {image: box, command: ["sh", "-c", "test -t 1 && echo terminal; sleep infinity"], tty: true}
  without: {image: box, command: ["sh", "-c", "test -t 1 || echo pipe; read x; echo end of input; sleep infinity"]}
  open: {image: box, command: ["cat"], stdin_open: true}
  closed: {image: box, command: ["cat"]}
END
    up
    wait_until logged with '^terminal'
    wait_until logged without '^pipe'
    wait_until logged without 'end of input'
    wait_until state_is closed exited
    state_is open running
}

@test "init: true reaps orphans and passes signals on" {
    compose <<'END'
services:
  web:
    image: box
    init: true
    stop_grace_period: 20s
    command: ["sh", "-c", "trap 'echo told; exit 3' TERM; (sleep 0.05 & ) ; echo ready; while :; do sleep 0.1; done"]
END
    up
    wait_until logged web ready
    no_zombie() { ! berth exec -T web ps -o stat | grep -q Z; }
    wait_until no_zombie
    [ "$(berth exec -T web cat /proc/1/comm)" != sh ]
    quiet berth stop
    logged web told
    equal "$(info web .ExitCode)" 3
}
