#!/usr/bin/env bats
# Images: build, cache, import, ls, rm.

load lib

teardown()
{
    local failed=0
    project_destroy || failed=1
    berth image ls --format json | jq -r '.References[]' | grep -v '^box' | xargs -r "${BERTH_COMMAND[@]}" image rm -f >/dev/null || true
    return $failed
}

dockerfile() { mkdir -p app; cat >app/Dockerfile; }

@test "up builds what has a build section, the second time from the cache" {
    dockerfile <<'END'
FROM box
ARG GREETING=none
ENV GREETING=$GREETING
WORKDIR /srv
COPY file .
RUN cat file >both && echo "$GREETING" >>both
CMD ["sh", "-c", "cat both; exec sleep infinity"]
END
    echo content >app/file
    compose <<'END'
services:
  web: {build: {context: ./app, args: {GREETING: ahoy}}}
END
    run berth up -d
    equal "$status" 0
    matches "$output" "Image $PROJECT-web: Built"
    wait_until logged web ahoy
    equal "$(berth logs --no-log-prefix web)" $'content\nahoy'
    local id
    id=$(berth image ls --format json | jq -r "select(.References | index(\"$PROJECT-web:latest\") or index(\"$PROJECT-web\")) | .ID")
    [ -n "$id" ]

    run berth build
    equal "$status" 0
    matches "$output" '[Cc]ached|CACHED|cache'
    equal "$(berth image ls --format json | jq -r "select(.References | index(\"$PROJECT-web:latest\") or index(\"$PROJECT-web\")) | .ID")" "$id"

    echo changed >app/file
    run berth up -d --build
    equal "$status" 0
    changed() { [ "$(berth logs --no-log-prefix web)" = $'changed\nahoy' ]; }
    wait_until changed
}

@test "up --build without a change replaces nothing" {
    dockerfile <<'END'
FROM box
CMD ["sleep", "infinity"]
END
    echo 'services: {web: {build: app}}' | compose
    up
    local before
    before="$(id_of web) $(pid_of web)"
    up --build
    equal "$(id_of web) $(pid_of web)" "$before"
}

@test "stages, --target, --build-arg, COPY --from, .dockerignore" {
    dockerfile <<'END'
ARG BASE=box
FROM $BASE AS build
ARG WHAT=nothing
RUN echo "$WHAT" >/made
FROM box AS final
COPY --from=build /made /made
COPY . /ctx/
CMD ["cat", "/made"]
END
    touch app/keep app/drop
    echo drop >app/.dockerignore
    berth image build -t mine:1 --build-arg WHAT=something app >id 2>log || fail "$(cat log)"
    matches "$(cat id)" '^sha256:[0-9a-f]{64}$'
    compose <<'END'
services:
  web: {image: "mine:1", command: ["sh", "-c", "cat /made; ls -A /ctx"]}
END
    up
    wait_until state_is web exited
    equal "$(berth logs --no-log-prefix web)" $'something\n.dockerignore\nDockerfile\nkeep'
    quiet berth image build -t mine:build --target build app
}

@test "a build that fails: the step, its output, exit code 1" {
    dockerfile <<'END'
FROM box
RUN echo about to fail; exit 9
END
    echo 'services: {web: {build: app}}' | compose
    run berth up -d
    equal "$status" 1
    matches "$output" 'about to fail'
    matches "$output" 'Dockerfile:2'
    matches "$output" '9'
}

@test "a Dockerfile with what isn't supported is refused by name and line" {
    dockerfile <<'END'
FROM box
ONBUILD RUN true
END
    run berth image build app
    [ "$status" != 0 ]
    matches "$output" 'Dockerfile:2'
    matches "$output" 'ONBUILD'
}

@test "import with changes; ls; rm; an image in use stays" {
    image_import other:2 -c 'CMD ["echo", "by default"]' -c 'ENV A=b' -m 'made by hand'
    matches "$(berth image ls)" '^other +2 +[0-9a-f]{12}'
    equal "$(berth image ls --format json | jq -r 'select(.References | index("other:2")) | .Layers')" 1
    echo 'services: {web: {image: "other:2"}}' | compose
    up
    wait_until state_is web exited
    equal "$(berth logs --no-log-prefix web)" 'by default'
    run berth image rm other:2
    equal "$status" 1
    matches "$output" "$PROJECT-web-1"
    quiet berth down
    quiet berth image rm other:2
    run berth image rm other:2
    equal "$status" 1
    matches "$output" 'other:2'
    quiet berth image rm -f other:2
}

@test "import from standard input; a broken archive is refused and leaves nothing" {
    gzip -c "$WORLD/image.tar" | quiet berth image import - piped:1
    matches "$(berth image ls)" '^piped +1 '
    head -c 100000 "$WORLD/image.tar" >broken.tar
    run berth image import broken.tar broken:1
    [ "$status" != 0 ]
    lacks "$(berth image ls)" '^broken'
    run berth image import nothing.tar
    [ "$status" != 0 ]
    matches "$output" 'nothing.tar'
}

@test "a changed image replaces the container that used it" {
    image_import moving:1 -c 'CMD ["sleep", "infinity"]' -c 'ENV V=1'
    echo 'services: {web: {image: "moving:1"}}' | compose
    up
    local before
    before=$(id_of web)
    image_import moving:1 -c 'CMD ["sleep", "infinity"]' -c 'ENV V=2'
    run berth plan
    matches "$output" "container replace +$PROJECT-web-1 +image"
    up
    [ "$(id_of web)" != "$before" ]
    equal "$(berth exec -T web sh -c 'echo $V')" 2
}

@test "the error of a failed image build is told once, whole" {
    printf 'FROM scratch\nCOPY nothing /x\n' >Dockerfile
    run -1 berth image build -t x .
    equal "$(grep -c 'not found in the build context' <<<"$output")" 1
    matches "$output" '^Image build: failed$'
    matches "$output" '^    COPY nothing /x$'
    lacks "$output" '\?'
}

@test "a project's failed build shows the first line of the error beside the image" {
    printf 'FROM scratch\nCOPY nothing /x\n' >Dockerfile
    compose <<'END'
services: {web: {build: .}}
END
    run -1 berth build
    matches "$output" '^Image .*: Dockerfile:2: "nothing" not found in the build context$'
    matches "$output" '^    COPY nothing /x$'
    lacks "$output" '\?'
}
