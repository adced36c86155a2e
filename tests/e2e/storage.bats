#!/usr/bin/env bats
# Volumes, bind mounts, tmpfs, read-only roots.

load lib

@test "a named volume outlives down and goes with down -v" {
    compose <<'END'
services:
  db:
    image: box
    command: sleep infinity
    volumes: ["store:/store"]
volumes:
  store:
END
    up
    berth exec -T db sh -c 'echo precious >/store/thing'
    quiet berth down
    equal "$(berth volume ls -q)" "${PROJECT}_store"
    up
    equal "$(berth exec -T db cat /store/thing)" precious
    run berth down -v
    equal "$status" 0
    matches "$output" "Volume ${PROJECT}_store: Removed"
    equal "$(berth volume ls -q)" ''
}

@test "a new volume is filled from the image, but not with nocopy" {
    compose <<'END'
services:
  db:
    image: box
    command: sleep infinity
    volumes:
      - full:/data
      - {type: volume, source: bare, target: /root, volume: {nocopy: true}}
volumes: {full: , bare: }
END
    up
    equal "$(berth exec -T db cat /data/seed)" 'from the image'
    equal "$(berth exec -T db ls -A /root)" ''
}

@test "an anonymous volume goes with its container" {
    compose <<'END'
services:
  db: {image: box, command: sleep infinity, volumes: [/scratch]}
END
    up
    berth exec -T db touch /scratch/thing
    [ -n "$(berth volume ls -q)" ]
    quiet berth down
    equal "$(berth volume ls -q)" ''
}

@test "two services share a volume; one sees it read-only" {
    compose <<'END'
services:
  writer: {image: box, command: sleep infinity, volumes: ["shared:/s"]}
  reader: {image: box, command: sleep infinity, volumes: ["shared:/s:ro"]}
volumes: {shared: }
END
    up
    berth exec -T writer sh -c 'echo hello >/s/thing'
    equal "$(berth exec -T reader cat /s/thing)" hello
    run berth exec -T reader touch /s/other
    [ "$status" != 0 ]
    matches "$output" 'Read-only file system'
}

@test "a configuration file is bind-mounted read-only, a directory is made where it is missing" {
    echo 'port = 80' >app.conf
    compose <<'END'
services:
  web:
    image: box
    command: sleep infinity
    volumes: ["./app.conf:/etc/app.conf:ro", "./new:/new"]
END
    up
    equal "$(berth exec -T web cat /etc/app.conf)" 'port = 80'
    run berth exec -T web sh -c 'echo x >/etc/app.conf'
    [ "$status" != 0 ]
    equal "$(cat app.conf)" 'port = 80'
    [ -d new ]
    berth exec -T web sh -c 'echo out >/new/thing'
    equal "$(cat new/thing)" out
    echo 'port = 81' >app.conf # in place: the same file
    equal "$(berth exec -T web cat /etc/app.conf)" 'port = 81'
}

@test "a bind mount's source is the path as it is written, links and all" {
    mkdir -p real/inner beside
    echo right >real/beside
    echo wrong >beside/file
    ln -s real/inner link
    compose <<END
services:
  web:
    image: box
    command: sleep infinity
    volumes: ["$PWD/link/../beside:/beside:ro", "$PWD/real/:/slash:cached", "$PWD/missing/deeper/:/made"]
END
    up
    equal "$(berth exec -T web cat /beside)" right
    equal "$(berth exec -T web cat /slash/beside)" right
    [ -d missing/deeper ]
    run berth plan --detailed-exitcode
    equal "$status" 0
}

@test "the long form of a bind mount refuses a source that is missing" {
    compose <<'END'
services:
  web:
    image: box
    command: sleep infinity
    volumes:
      - {type: bind, source: ./nothing, target: /n, bind: {create_host_path: false}}
END
    run berth up -d
    equal "$status" 1
    matches "$output" 'nothing'
    [ ! -e nothing ]
}

@test "read_only and tmpfs" {
    compose <<'END'
services:
  web:
    image: box
    command: sleep infinity
    read_only: true
    tmpfs: ["/run", "/small:size=64k,mode=700"]
END
    up
    run berth exec -T web touch /etc/x
    [ "$status" != 0 ]
    matches "$output" 'Read-only file system'
    berth exec -T web touch /run/x
    equal "$(berth exec -T web stat -c %a /small)" 700
    run berth exec -T web dd if=/dev/zero of=/small/big bs=1k count=100
    [ "$status" != 0 ]
    matches "$output" 'No space left'
}

@test "what a container writes is its own, and lives as long as it" {
    compose <<'END'
services:
  one: {image: box, command: sleep infinity}
  two: {image: box, command: sleep infinity}
END
    up
    berth exec -T one sh -c 'echo mine >/thing; rm -r /data'
    berth exec -T two test ! -e /thing
    berth exec -T two test -e /data/seed
    quiet berth restart one
    equal "$(berth exec -T one cat /thing)" mine
    up --force-recreate one
    berth exec -T one test ! -e /thing
    berth exec -T one test -e /data/seed
}
