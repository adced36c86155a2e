/* The engine's own processes: "berth internal keeper …", "berth internal build". */

#include <string.h>

#include "engine/build/build.h"
#include "engine/engine.h"
#include "engine/keeper/keeper.h"

int engine_internal_main(int argc, char **argv)
{
    enum { WORDS_AT = 3 };

    if (argc < WORDS_AT || strcmp(argv[1], "internal") != 0)
        return -1;
    if (strcmp(argv[2], "keeper") == 0)
        return keeper_main(argc, argv, argc - WORDS_AT, argv + WORDS_AT);
    if (strcmp(argv[2], "build") == 0)
        return build_job_main();
    return -1;
}
