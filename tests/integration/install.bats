#!/usr/bin/env bats
# What `make install` puts on a machine: programs that find each other, man pages, completions.

load ../e2e/lib

setup_file()
{
    world_make
    PREFIX_AT=$WORLD/usr
    export PREFIX_AT
    make_target install
}

setup() { BERTH=$PREFIX_AT/bin/berth; }
teardown() { :; }

# What is there already gets installed: the mode is that of the programs under test.
make_target()
{
    local build=${BERTH%/berth}
    quiet make -C "$TOP" -s "MODE=${build##*/}" "PREFIX=$PREFIX_AT" "$@"
}

@test "installed berth finds its worker" {
    image_tree "$WORLD/image"
    tar -C "$WORLD/image" -cf "$WORLD/image.tar" .
    run -0 --separate-stderr berth image import "$WORLD/image.tar" installed
    mv "$PREFIX_AT/libexec/berth/berth-worker" "$WORLD/away"
    run -1 berth image import "$WORLD/image.tar" installed
    mv "$WORLD/away" "$PREFIX_AT/libexec/berth/berth-worker"
    matches "$output" 'worker program is neither ".*/usr/bin/berth-worker" nor ".*/libexec/berth/berth-worker"'
}

@test "an installed prefix can be moved" {
    cp -r "$PREFIX_AT" "$WORLD/moved"
    BERTH=$WORLD/moved/bin/berth
    run -0 --separate-stderr berth image import "$WORLD/image.tar" moved
}

@test "installed berth runs a project" {
    project_make
    compose <<'END'
services: {web: {image: box, command: sleep 1000}}
END
    up
    state_is web running
    project_destroy
}

@test "DESTDIR is put before PREFIX" {
    quiet make -C "$TOP" -s "MODE=$(basename "$(dirname "$(realpath "$TOP/${BUILD:-build/release}/berth")")")" \
        "DESTDIR=$WORLD/dest" PREFIX=/usr install
    [ -x "$WORLD/dest/usr/bin/berth" ]
    [ -x "$WORLD/dest/usr/libexec/berth/berth-worker" ]
    [ -s "$WORLD/dest/usr/share/bash-completion/completions/berth" ]
    [ -s "$WORLD/dest/usr/share/zsh/site-functions/_berth" ]
}

@test "there is a man page for every verb that help lists" {
    local verb
    for verb in $(berth --help | awk '/^  [a-z]+ / { print $1 }'); do
        [ -s "$PREFIX_AT/share/man/man1/berth-$verb.1" ] || fail "no page of $verb"
    done
    equal "$(head -n 2 "$PREFIX_AT/share/man/man1/berth-up.1" | tail -n 1)" '.Dt BERTH-UP 1'
    # plain ASCII, that every roff reads alike
    ! LC_ALL=C grep -l '[^ -~]' "$PREFIX_AT"/share/man/man1/*.1
}

@test "man pages have nothing that groff or mandoc warn about" {
    local page
    if command -v mandoc >/dev/null; then
        quiet mandoc -Tlint -Wwarning "$PREFIX_AT"/share/man/man1/*.1
    elif groff -mdoc -Tutf8 </dev/null >/dev/null 2>&1; then
        for page in "$PREFIX_AT"/share/man/man1/*.1; do
            equal "$(groff -ww -mdoc -Tutf8 "$page" 2>&1 >/dev/null)" ''
        done
    else
        skip "neither mandoc nor groff is here"
    fi
}

# completions WORD…: what an interactive bash proposes for the last of them.
completions()
{
    PATH=$PREFIX_AT/bin:$PATH bash --norc --noprofile -c '
        source "$0"
        complete -p berth >/dev/null || exit 1
        COMP_WORDS=(berth "$@") COMP_CWORD=$#
        "$(complete -p berth | sed -E "s/.*-F (\w+) .*/\1/")"
        printf "%s\n" "${COMPREPLY[@]}"' "$PREFIX_AT/share/bash-completion/completions/berth" "$@"
}

@test "bash completes verbs, options, choices, services and files" {
    mkdir -p "$WORLD/completing" && cd "$WORLD/completing"
    printf 'services:\n  web: {image: box}\n  database: {image: box}\n' >compose.yaml
    printf 'services:\n  other: {image: box}\n' >other.yaml
    mkdir build && : >'a file'
    equal "$(completions 'bu')" build
    equal "$(completions image 'im')" import
    equal "$(completions up --force)" --force-recreate
    equal "$(completions --progress 'pl')" plain
    equal "$(completions up '' | sort | xargs)" 'database web'
    equal "$(completions -f other.yaml logs '')" other
    equal "$(completions --file = other.yaml logs '')" other
    equal "$(completions image import 'a')" 'a file'
    equal "$(completions -f 'oth')" other.yaml
    equal "$(completions up '-f' 'oth')" other.yaml
    equal "$(completions inter)" ''
}

@test "zsh accepts its completion" {
    command -v zsh >/dev/null || skip "zsh is not here"
    quiet zsh -n "$PREFIX_AT/share/zsh/site-functions/_berth"
}

# last: takes away what the others need
@test "uninstall leaves nothing of it" {
    BERTH=$(realpath "$TOP/${BUILD:-build/release}/berth")
    make_target uninstall
    equal "$(find "$PREFIX_AT" -name '*berth*')" ''
}
