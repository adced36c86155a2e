#!/usr/bin/env bats
# Restart policies, stop signals, grace.

load lib

restarted() { [ "$(info "$1" .Restarts)" -ge "$2" ]; }

@test "on-failure:2 tries twice more and no more" {
    compose <<'END'
services:
  web: {image: box, command: ["sh", "-c", "echo try; exit 5"], restart: "on-failure:2"}
  fine: {image: box, command: ["true"], restart: on-failure}
END
    up
    wait_until state_is web exited
    equal "$(info web .Restarts)" 2
    equal "$(info web .ExitCode)" 5
    equal "$(berth logs --no-log-prefix web | wc -l)" 3
    wait_until state_is fine exited
    equal "$(info fine .Restarts)" 0
}

@test "always starts again whatever the code; no doesn't" {
    compose <<'END'
services:
  ever: {image: box, command: ["sh", "-c", "sleep 0.05; exit 0"], restart: always}
  once: {image: box, command: ["sh", "-c", "exit 3"]}
END
    up
    wait_until restarted ever 2
    equal "$(info once .State)" exited
    equal "$(info once .Restarts)" 0
    equal "$(info once .ExitCode)" 3
}

@test "a killed process is started again; a stopped container isn't, until start" {
    compose <<'END'
services:
  web: {image: box, command: sleep infinity, restart: unless-stopped}
END
    up
    kill -9 "$(pid_of web)"
    wait_until restarted web 1
    wait_until state_is web running
    quiet berth stop
    state_is web exited
    equal "$(pgrep -f "^berth keeper $PROJECT\$" || true)" '' || wait_until test -z "$(pgrep -f "^berth keeper $PROJECT\$")"
    state_is web exited
    quiet berth start
    state_is web running
}

@test "berth kill doesn't set off the restart policy" {
    compose <<'END'
services:
  web: {image: box, command: sleep infinity, restart: always}
END
    up
    quiet berth kill
    wait_until state_is web exited
    equal "$(info web .Restarts)" 0
}

@test "stop sends the service's signal and waits for its end" {
    compose <<'END'
services:
  web:
    image: box
    command: ["sh", "-c", "trap 'sleep 0.2; echo quitting; exit 42' QUIT; trap 'echo wrong' TERM; echo ready; while :; do sleep 0.05; done"]
    stop_signal: SIGQUIT
END
    up
    wait_until logged web ready
    quiet berth stop
    logged web quitting
    ! logged web wrong
    equal "$(info web .ExitCode)" 42
}

@test "who ignores the signal is killed after the grace period" {
    compose <<'END'
services:
  web:
    image: box
    command: ["sh", "-c", "trap 'echo no' TERM; echo ready; while :; do sleep 0.05; done"]
    stop_grace_period: 500ms
END
    up
    wait_until logged web ready
    LIMIT=5 quiet berth stop
    logged web '^no'
    equal "$(info web .ExitCode)" 137
    up
    wait_until state_is web running
    LIMIT=5 quiet berth down -t 0
}

@test "a PID 1 without a handler is killed at once, not after ten seconds" {
    compose <<'END'
services:
  a: {image: box, command: sleep infinity}
  b: {image: box, command: sleep infinity, stop_grace_period: 60s}
END
    up
    LIMIT=5 quiet berth down
}

@test "exit codes are kept after the keeper has gone" {
    compose <<'END'
services:
  a: {image: box, command: ["sh", "-c", "exit 9"]}
  b: {image: box, command: ["sh", "-c", "kill -SEGV $$$$"]}
END
    up
    wait_until state_is a exited
    wait_until state_is b exited
    no_supervisors() { ! supervisors_of "$PROJECT"; }
    wait_until no_supervisors
    equal "$(info a .ExitCode)" 9
}
