/* Plans in single cases; the laws are in tests/property/plan.c, the texts in tests/golden/plan. */

#include "reconcile/plan.h"
#include "engine/base/arena.h"
#include "reconcile/desired.h"
#include "reconcile/observed.h"
#include "tests/tap.h"

TEST(a_circle_of_dependencies_is_named)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct desired_dependency on_b = {.service = "b"}, on_a = {.service = "a"};
    struct desired_container containers[] = {
        {.spec = {.name = "p-a-1"}, .service = "a", .dependencies = &on_b, .n_dependencies = 1},
        {.spec = {.name = "p-b-1"}, .service = "b", .dependencies = &on_a, .n_dependencies = 1},
    };
    struct desired desired = {.project = "p", .containers = containers, .n_containers = 2};
    struct observed observed = OBSERVED_INIT;
    struct plan_options options = PLAN_OPTIONS_INIT;
    const struct plan *plan;
    struct error err = ERROR_INIT;

    CHECK_FAILS(plan_make(&arena, &desired, &observed, &options, &plan, NULL, &err), ERROR_CYCLE,
                "a → b → a");
}
