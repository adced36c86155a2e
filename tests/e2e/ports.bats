#!/usr/bin/env bats
# Published ports: from this host, from outside, and whose they are.

load lib

ask() { busybox nc -w 3 "$1" "$2" </dev/null; }
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

@test "ranges, and several ports of one service" {
    compose <<'END'
services:
  web:
    image: box
    command: ["sh", "-c", "nc -ll -p 81 -e echo hello & exec nc -ll -p 80 -e echo hello"]
    ports: ["9080-9081:80-81", {target: 80, published: "9090", host_ip: 127.0.0.1}]
END
    up
    wait_until hears ask_host 127.0.0.1 9080
    wait_until hears ask_host 127.0.0.1 9081
    wait_until hears ask_host 127.0.0.1 9090
    equal "$(info web '[.Publishers[] | "\(.URL):\(.PublishedPort)"] | sort | join(" ")')" \
        '0.0.0.0:9080 0.0.0.0:9081 127.0.0.1:9090'
}

@test "udp is published too" {
    compose <<END
services:
  names: # the one server for UDP at hand, with the perl of this machine
    image: box
    command: ["perl", "/nameserver", "0.0.0.0", "quay.example=192.0.2.50"]
    environment: {PATH: /usr/bin}
    volumes: ["/usr:/usr:ro", "/usr/lib:/lib:ro", "/usr/lib64:/lib64:ro", "$TOP/tests/e2e/nameserver:/nameserver:ro"]
    ports: ["53:53/udp"]
END
    up
    wait_until in_host busybox nslookup -type=a quay.example 127.0.0.1
    in_host busybox nslookup -type=a quay.example $HOST_ADDRESS
    in_outside busybox nslookup -type=a quay.example $HOST_ADDRESS
    equal "$(info names '.Publishers[0].Protocol')" udp
}

@test "a taken port: the error names the port and who holds it" {
    server '"8081:80"' | compose
    background in_host busybox nc -ll -p 8081 -e echo hello
    wait_until hears ask_host 127.0.0.1 8081
    run berth up -d
    equal "$status" 1
    matches "$output" '8081'
    matches "$output" 'in use|taken|holds|held'
    matches "$output" "busybox nc .*process [0-9]+"
}

@test "a port another project has: the error names that project's service" {
    server '"8081:80"' | compose
    up
    project_add "b$PROJECT"
    server '"8081:80"' >"$WORLD/projects/b$PROJECT/compose.yaml"
    run berth -p "b$PROJECT" --project-directory "$WORLD/projects/b$PROJECT" -f "$WORLD/projects/b$PROJECT/compose.yaml" up -d
    equal "$status" 1
    matches "$output" '8081'
    matches "$output" "published by container \"$PROJECT-web-1\" \(service \"web\" of project \"$PROJECT\"\)"
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
    matches "$(ask_outside $HOST_ADDRESS 8081)" ':80 +::ffff:10\.99\.0\.1:'
}
