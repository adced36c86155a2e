#!/usr/bin/env bats
# kill -9 at any moment: the next `up` ends in the state of an undisturbed one, the next `down` leaves
# nothing. CRASH_ROUNDS moments per test (default 3, all fifty with CRASH_ROUNDS=50); SEED replays.

load ../e2e/lib

ROUNDS=${CRASH_ROUNDS:-3}

setup()
{
    project_make
    RANDOM=${SEED:-$(($(date +%s) + BATS_TEST_NUMBER))}
    echo "SEED=$RANDOM" # shown when the test fails
    stack >compose.yaml
}

# A dozen services that talk, wait for each other, publish, keep data; some are started again and again.
stack()
{
    local i
    echo "name: $PROJECT"
    echo 'services:'
    for i in 1 2 3 4; do
        echo "  talker$i: {image: box, command: [sh, -c, 'while :; do echo line; usleep 3000; done'], networks: [inner, outer]}"
    done
    cat <<'END'
  db:
    image: box
    command: [sh, -c, 'trap "exit 0" TERM; touch /tmp/ready; while :; do echo query; usleep 20000; done']
    volumes: ["store:/store", "/scratch"]
    healthcheck: {test: [CMD, test, -e, /tmp/ready], interval: 1s}
    networks: {inner: {aliases: [database]}}
    init: true
  cache: {image: box, command: sleep infinity, networks: [inner], depends_on: [talker1], mem_limit: 32m}
  migrate: {image: box, command: [sh, -c, 'echo migrated'], networks: [inner], depends_on: {db: {condition: service_healthy}}}
  app:
    image: box
    command: nc -ll -p 80 -e echo hello
    networks: [inner, outer]
    ports: ["8091:80"]
    restart: unless-stopped
    depends_on: {migrate: {condition: service_completed_successfully}, cache: {condition: service_started}}
  front:
    image: box
    command: nc -ll -p 80 -e echo hello
    networks: [outer]
    ports: ["8092:80", "127.0.0.1:8093:80"]
    depends_on: [app]
  restless: {image: box, command: [sh, -c, 'usleep 50000; exit 1'], restart: always, networks: [outer]}
networks:
  inner: {internal: true}
  outer:
volumes:
  store:
END
}

# ---- what is compared --------------------------------------------------------------------------------

# Everything an undisturbed `up` leads to, with what may differ from time to time given its meaning:
# addresses become names.
state()
{
    local names
    names=$(address_names)
    echo '--- containers'
    berth ps -a --format json | jq -cS '{Name, State, Health, ExitCode, Publishers,
        Networks: (.Networks | keys), Running: (.Pid > 0)}
        | if .Name | test("restless") then .State = "any" | .ExitCode = 0 | .Running = true else . end'
    echo '--- networks'
    berth network ls --format json | jq -cS '{Name, Interface, Internal, Up, Endpoints}'
    echo '--- volumes'
    berth volume ls --format json | jq -r .Name | sed -E 's/^[0-9a-f]{64}$/anonymous/' | sort
    echo '--- links'
    in_host ip -j link | jq -r '.[] | select(.ifname | test("^(bt|bv)-")) | "\(.ifname | .[0:3]) \(.master // "no master")"' | sort
    echo '--- firewall'
    in_host nft -j list table inet berth | jq -c '.nftables[] | (.set // .map) | select(. != null) | {name, elem: [.elem[]? | tostring] | sort}' |
        sed -E "$names" | jq -cS '.elem |= sort'
    echo '--- groups'
    (cd /sys/fs/cgroup && find . -type d -path "*/berth/$PROJECT/*" | grep -v restless | sort)
    echo '--- supervisors'
    supervisors_of "$PROJECT" | wc -l
    echo '--- files'
    (cd "$BERTH_ROOT" && ls names | sort && ls containers | wc -l && ls "projects/$PROJECT/containers" 2>/dev/null)
}

# A sed script: container addresses to their names, subnets to their networks.
address_names()
{
    berth ps -a --format json | jq -r '.Name as $name | .Networks | to_entries[] | "s/\\b\(.value | gsub("\\."; "\\."))\\b/\($name)/g"'
    berth network ls --format json | jq -r '.Name as $name | .Subnet | split("/")[0] | "s/\\b\(gsub("\\."; "\\."))\\b/\($name)/g"'
}

settled() { state >"$WORLD/state.now" 2>&1 && cmp -s "$WORLD/state.wanted" "$WORLD/state.now"; }

assert_as_undisturbed()
{
    PATIENCE=5 wait_until settled >"$WORLD/waited" && return 0
    diff "$WORLD/state.wanted" "$WORLD/state.now"
    cat "$WORLD/waited"
    return 1
}

# The reference, and how long things take here.
measure()
{
    local begun
    quiet berth up -d # once to warm up
    quiet berth down -v
    begun=$(date +%s%N)
    quiet berth up -d
    UP_US=$((($(date +%s%N) - begun) / 1000))
    wait_until eval '[ "$(info migrate .State)" = exited ]'
    state >"$WORLD/state.wanted"
    begun=$(date +%s%N)
    quiet berth down -v
    DOWN_US=$((($(date +%s%N) - begun) / 1000))
    assert_gone
}

assert_gone()
{
    assert_nothing_left "$PROJECT"
    assert_host_is_clean
}

# ---- killing -----------------------------------------------------------------------------------------

pids_of_victim()
{
    case $1 in
    cli) echo "$PID" ;;
    keeper | zygote) pgrep -f "^berth $1 $PROJECT\$" ;;
    both) supervisors_of "$PROJECT" ;;
    esac
}

# Kill the victim at a random moment of what runs as $PID and takes about $2 microseconds.
kill_during()
{
    local victim=$1 moment
    moment=$((RANDOM * 32768 + RANDOM))
    moment=$((moment % ($2 + $2 / 4)))
    sleep "$((moment / 1000000)).$(printf %06d $((moment % 1000000)))"
    pids_of_victim "$victim" | xargs -r kill -9 2>/dev/null || true
    echo "killed $victim after $moment us"
    PATIENCE=20 wait_until ended "$PID"
}

crash_during_up()
{
    local victim=$1 round
    measure
    for round in $(seq "$ROUNDS"); do
        echo "round $round"
        start_berth up.out up -d
        kill_during "$victim" "$UP_US"
        quiet berth up -d || { dump_state; return 1; }
        assert_as_undisturbed
        quiet berth down -v
        assert_gone
    done
}

crash_during_down()
{
    local victim=$1 round
    measure
    for round in $(seq "$ROUNDS"); do
        echo "round $round"
        quiet berth up -d
        start_berth down.out down
        kill_during "$victim" "$DOWN_US"
        quiet berth up -d || { dump_state; return 1; }
        assert_as_undisturbed
        quiet berth down -v
        assert_gone
    done
}

@test "the CLI is killed while it brings up" { crash_during_up cli; }
@test "the keeper is killed during up" { crash_during_up keeper; }
@test "the zygote is killed during up" { crash_during_up zygote; }
@test "the CLI is killed while it takes down" { crash_during_down cli; }
@test "the keeper is killed during down" { crash_during_down keeper; }
@test "the zygote is killed during down" { crash_during_down zygote; }
@test "keeper and zygote are killed together during up" { crash_during_up both; }
