#include "tests/compose_args.h"

#include <stddef.h>

#include "compose/file/project.h"

unsigned args_flag(struct str word)
{
    static const struct {
        const char *word;
        unsigned flag;
    } flags[] = {
        {"deps", PROJECT_WITH_DEPENDENCIES},
        {"all-resources", PROJECT_ALL_RESOURCES},
        {"no-interpolate", PROJECT_NO_INTERPOLATE},
        {"no-normalize", PROJECT_NO_NORMALIZE},
        {"no-path-resolution", PROJECT_NO_PATH_RESOLUTION},
        {"no-consistency", PROJECT_NO_CONSISTENCY},
        {"no-env-resolution", PROJECT_NO_ENV_RESOLUTION},
    };

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (str_is(word, flags[i].word))
            return flags[i].flag;
    }
    return 0;
}
