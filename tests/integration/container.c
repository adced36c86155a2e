/* Containers end to end against this kernel: what runs inside sees what Docker would show it. */

#include <stdio.h>

#include "tests/integration/container_world.h"
#include "tests/tap.h"

TEST(prints_to_stdout_and_exits_with_its_code)
{
    struct world world;
    struct trial trial;

    world_open(&world);
    trial_init(&trial, &world, "echo hello; exit 7");
    trial_run(&trial);
    CHECK_TEXT(trial_out(&trial), "hello\n");
    CHECK_INT(trial.last.kind, ZYGOTE_EXITED);
    CHECK_INT(trial.last.exit_code, 7);
    world_close(&world);
}
