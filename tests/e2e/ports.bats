#!/usr/bin/env bats
# Published ports: from this host, from outside, and whose they are.

load lib

ask() { nc -w 3 "$1" "$2" </dev/null; }
ask_host() { in_host busybox nc -w 3 "$1" "$2" </dev/null; }
ask_outside() { in_outside busybox nc -w 3 "$1" "$2" </dev/null; }
hears() { [ "$("$@")" = hello ]; }

server()
{
    cat <<END
services:
  web:
    image: box
    command: ["nc", "-ll", "-p", "80", "-e", "echo", "hello"]
    ports: [$1]
END
}

@test "a published port answers on localhost, on the host's address and from outside" {
    server '"8081:80"' | compose
    up
    wait_until hears ask_host 127.0.0.1 8081
    equal "$(ask_host localhost 8081)" hello
    equal "$(ask_host $HOST_ADDRESS 8081)" hello
    equal "$(ask_outside $HOST_ADDRESS 8081)" hello
    equal "$(info web '.Publishers[0] | "\(.URL) \(.PublishedPort) \(.TargetPort) \(.Protocol)"')" '0.0.0.0 8081 80 tcp'
    matches "$(info web .Ports)" '0.0.0.0:8081->80/tcp'

    quiet berth stop
    ! ask_host 127.0.0.1 8081
    ! ask_outside $HOST_ADDRESS 8081
    quiet berth start
    wait_until hears ask_outside $HOST_ADDRESS 8081
    quiet berth down
    ! ask_host 127.0.0.1 8081
}

@test "a neighbour reaches the published port by the host's address" {
    { server '"8081:80"'; echo '  other: {image: box, command: sleep infinity}'; } | compose
    up
    wait_until hears ask_host 127.0.0.1 8081
    equal "$(berth exec -T other nc -w 3 $HOST_ADDRESS 8081 </dev/null)" hello
    equal "$(berth exec -T web nc -w 3 $HOST_ADDRESS 8081 </dev/null)" hello
}

@test "a port published on 127.0.0.1 is not for outsiders" {
    server '"127.0.0.1:8081:80"' | compose
    up
    wait_until hears ask_host 127.0.0.1 8081
    ! ask_outside $HOST_ADDRESS 8081
    in_outside ip route add 127.0.0.1/32 via $HOST_ADDRESS 2>/dev/null || true
    ! in_host ip route get 127.0.0.1 | grep -q up0
}

@test "container addresses are not reachable from outside, published or not" {
    server '"8081:80"' | compose
    up
    wait_until hears ask_host 127.0.0.1 8081
    local address
    address=$(address_of web)
    in_outside ip route replace "$address/32" via $HOST_ADDRESS
    ! ask_outside "$address" 80
    in_outside ip route del "$address/32"
}

@test "a port without a number gets a free one, and keeps it over a second up" {
    server '"80"' | compose
    up
    local port
    port=$(info web '.Publishers[0].PublishedPort')
    [ "$port" -gt 1024 ]
    wait_until hears ask_host 127.0.0.1 "$port"
    up
    equal "$(info web '.Publishers[0].PublishedPort')" "$port"
}

@test "udp, ranges and several ports of one service" {
    compose <<'END'
services:
  web:
    image: box
    command: ["sh", "-c", "nc -ll -p 81 -e echo hello & nc -ll -p 80 -e echo hello & exec nc -u -ll -p 53 -e echo hello"]
    ports: ["9080-9081:80-81", "9053:53/udp"]
END
    up
    wait_until hears ask_host 127.0.0.1 9080
    wait_until hears ask_host 127.0.0.1 9081
    equal "$(info web '[.Publishers[] | "\(.PublishedPort)/\(.Protocol)"] | sort | join(" ")')" '9053/udp 9080/tcp 9081/tcp'
    udp_answers() { [ "$(echo x | in_host busybox nc -u -w 1 $1 9053)" = hello ]; }
    wait_until udp_answers 127.0.0.1
    wait_until udp_answers $HOST_ADDRESS
}

@test "a taken port: the error names the port and who holds it" {
    server '"8081:80"' | compose
    in_host busybox nc -ll -p 8081 3>&- &
    wait_until in_host busybox nc -z 127.0.0.1 8081
    run berth up -d
    equal "$status" 1
    matches "$output" '8081'
    matches "$output" 'in use|taken|holds|held'
    matches "$output" "nc|pid"
}

@test "a port another project has: the error names that project's container" {
    server '"8081:80"' | compose
    up
    project_add "b$PROJECT"
    server '"8081:80"' >"$WORLD/projects/b$PROJECT/compose.yaml"
    run berth -p "b$PROJECT" --project-directory "$WORLD/projects/b$PROJECT" -f "$WORLD/projects/b$PROJECT/compose.yaml" up -d
    equal "$status" 1
    matches "$output" '8081'
    matches "$output" "$PROJECT-web-1"
    wait_until hears ask_host 127.0.0.1 8081
}

@test "two services of one file that want the same port are refused before anything starts" {
    compose <<'END'
services:
  a: {image: box, command: sleep infinity, ports: ["8081:80"]}
  b: {image: box, command: sleep infinity, ports: ["8081:80"]}
END
    run berth up -d
    [ "$status" != 0 ]
    matches "$output" '8081'
}

@test "the client's address is seen by the container when it comes from outside" {
    compose <<'END'
services:
  web:
    image: box
    command: ["nc", "-ll", "-p", "80", "-e", "sh", "-c", "netstat -tn"]
    ports: ["8081:80"]
END
    up
    wait_until ask_outside $HOST_ADDRESS 8081
    matches "$(ask_outside $HOST_ADDRESS 8081)" ':80 +10\.99\.0\.1:'
}
