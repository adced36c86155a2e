#!/usr/bin/env bats
# Names between containers, networks apart, the way out.

load lib

# What a container's resolver says: the addresses of a name, one per line.
resolve() { berth exec -T "$1" nslookup "$2" | awk '/^Name:/ { found = 1 } found && /^Address/ { print $NF }'; }

reaches() { berth exec -T "$1" nc -w 3 "$2" "$3" </dev/null; }

@test "services are found by service name, alias, container name and id" {
    compose <<'END'
services:
  web: {image: box, command: sleep infinity}
  db:
    image: box
    command: sleep infinity
    container_name: ${PROJECT_NAME}-thedb
    networks: {default: {aliases: [database, store.example]}}
END
    export PROJECT_NAME=$PROJECT
    up
    local wanted name
    wanted=$(address_of db)
    for name in db database store.example "$PROJECT-thedb" "$(id_of db | cut -c1-12)"; do
        equal "$(resolve web "$name")" "$wanted"
    done
    equal "$(resolve web web)" "$(address_of web)"
    berth exec -T web ping -c 1 -W 3 db
    matches "$(berth exec -T web cat /etc/resolv.conf)" '^nameserver 127.0.0.11$'
}

@test "an address is found back by its name" {
    compose <<'END'
services:
  web: {image: box, command: sleep infinity}
  db: {image: box, command: sleep infinity}
END
    up
    run berth exec -T web nslookup "$(address_of db)"
    matches "$output" "name = $PROJECT-db-1"
}

@test "names and packets don't cross networks; a service on both sees both" {
    compose <<'END'
services:
  front: {image: box, command: sleep infinity, networks: [outer]}
  middle: {image: box, command: sleep infinity, networks: [outer, inner]}
  back: {image: box, command: "sh -c 'nc -ll -p 7 -e echo hello'", networks: [inner]}
networks:
  outer:
  inner:
END
    up
    equal "$(resolve middle front)" "$(address_of front outer)"
    equal "$(resolve middle back)" "$(address_of back inner)"
    run berth exec -T front nslookup back
    [ "$status" != 0 ]
    equal "$(resolve front back)" ''
    wait_until reaches middle back 7
    equal "$(reaches middle back 7)" hello
    ! reaches front "$(address_of back inner)" 7
}

@test "an internal network has no way out, others have" {
    background in_outside busybox nc -ll -p 4000 -e echo internet
    compose <<'END'
services:
  free: {image: box, command: sleep infinity, networks: [closed, open]}
  captive: {image: box, command: sleep infinity, networks: [closed]}
  peer: {image: box, command: "nc -ll -p 7 -e echo hello", networks: [closed]}
networks:
  closed: {internal: true} # before the other in every order
  open:
END
    up
    wait_until reaches free "$INTERNET_ADDRESS" 4000
    equal "$(reaches free "$INTERNET_ADDRESS" 4000)" internet
    ! reaches captive "$INTERNET_ADDRESS" 4000
    wait_until reaches captive peer 7
}

@test "extra_hosts, dns, hostname in the container's own files" {
    compose <<'END'
services:
  web:
    image: box
    command: sleep infinity
    hostname: lighthouse
    extra_hosts: ["gate:host-gateway", "far.example:192.0.2.7"]
    dns: [192.0.2.53]
END
    up
    equal "$(berth exec -T web hostname)" lighthouse
    equal "$(berth exec -T web cat /etc/hostname)" lighthouse
    run berth exec -T web cat /etc/hosts
    matches "$output" "^192.0.2.7[[:space:]]+far.example$"
    matches "$output" "^[0-9.]+[[:space:]]+gate$"
    matches "$output" "^$(address_of web)[[:space:]]+lighthouse"
    equal "$(berth exec -T web ping -c 1 -W 1 far.example 2>&1 | sed -n '1s/.*(\(.*\)).*/\1/p')" 192.0.2.7
}

@test "other names are asked of the host's name server, or of the one the service names" {
    compose <<'END'
services:
  web: {image: box, command: sleep infinity}
  own: {image: box, command: sleep infinity, dns: [192.0.2.1]}
END
    up
    equal "$(resolve web harbour.example)" 192.0.2.99
    equal "$(resolve own harbour.example)" 192.0.2.99
    run berth exec -T web nslookup -type=a nowhere.example
    matches "$output" NXDOMAIN
}

@test "a network has the name the file gives it" {
    compose <<'END'
services:
  web: {image: box, command: sleep infinity}
networks:
  default:
    name: ${PROJECT_NAME}_quay
END
    export PROJECT_NAME=$PROJECT
    up
    equal "$(berth network ls -q)" "${PROJECT}_quay"
    matches "$(info web '.Networks | keys[]')" "^${PROJECT}_quay$"
    quiet berth down
    equal "$(berth network ls -q)" ''
}
