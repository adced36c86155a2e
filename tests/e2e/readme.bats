#!/usr/bin/env bats
# What the README tells newcomers to type, typed: the lines that start with "$ " in its blocks marked
# console, in order, in one directory; a block marked yaml is the compose.yaml it tells them to write.

load lib

setup() { project_make; }

teardown()
{
    berth -p tour down -v -t 0 >/dev/null 2>&1
    berth image rm -f busybox:latest >/dev/null 2>&1
    PROJECTS+=(tour)
    project_destroy
}

# The README as a script: what is typed, one line each.
script()
{
    awk '/^```/ { kind = kind ? "" : substr($0, 4); if (kind == "yaml" && !written++) { print "cat >compose.yaml <<\047END_OF_YAML\047"; yaml = 1 }
                  else if (yaml && !kind) { print "END_OF_YAML"; yaml = 0 } next }
         kind == "yaml" && yaml { print; next }
         kind == "console" && sub(/^\$ /, "") { print }' "$TOP/README.md"
}

# berth and sudo as the newcomer has them.
make_path()
{
    mkdir -p "$DIR/path"
    ln -s "$BERTH" "$DIR/path/berth"
    printf '#!/bin/sh\nexec "$@"\n' >"$DIR/path/sudo"
    chmod +x "$DIR/path/sudo"
}

@test "the tour of the README works as it stands" {
    make_path
    script >tour.sh
    [ "$(grep -c berth tour.sh)" -ge 8 ]
    mkdir tour
    cd tour
    run in_host env PATH="$DIR/path:$PATH" timeout 60 bash -eux ../tour.sh
    echo "$output"
    equal "$status" 0
    matches "$output" 'hello from berth'
    lacks "$output" 'not supported'
}
